"""What is left to do in a batch: each video's tasks, of which one's outcome ends the video or leads to the next."""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from isomer.cluster.inputs import Video
from isomer.cluster.manifest import Manifest, Record, State
from isomer.cluster.shards import Seams, Shard, split
from isomer.cluster.worker import Done, Failed, Outcome, PartDone, TooLong

Progress = Callable[[Video, Record, int], None]


@dataclass
class Task:
    """A call of a worker's method for a video, and how many workers it has cost."""

    video: Video
    method: str
    arguments: tuple[object, ...] = ()
    deaths: int = 0


class Plan:
    """The tasks of a run that no worker is at; the manifest says what became of each video.

    Args:
        videos: to segment.
        manifest: with a record of each video.
        shard: frames of a part of a video that is split; 0 splits none.
        retries: how often a task is begun again whose worker died.
        parts: folder of what is kept until the parts of a video are joined.
        progress: see `isomer.cluster.segment_batch`.
    """

    def __init__(
        self, videos: Sequence[Video], manifest: Manifest, shard: int, retries: int, parts: Path, progress: Progress
    ) -> None:
        self._tasks = deque(Task(video, "segment") for video in videos)
        self._left = len(videos)
        self._begun: set[Video] = set()
        self._manifest = manifest
        self._shard = shard
        self._retries = retries
        self._parts = parts
        self._progress = progress
        self._seams: dict[Video, Seams] = {}

    def __len__(self) -> int:
        """Return how many tasks wait."""
        return len(self._tasks)

    def next(self) -> Task:
        """Take the task out that is to be done next."""
        task = self._tasks.popleft()
        self._begun.add(task.video)
        return task

    @property
    def begun(self) -> list[Video]:
        """Videos that workers were at, and that are neither done nor failed."""
        return [video for video in self._begun if self._manifest[video].state is State.pending]

    @property
    def has_begun(self) -> bool:
        """Whether any task has been taken out."""
        return bool(self._begun)

    def take_in(self, task: Task, outcome: Outcome) -> None:
        """Enter what became of a task, and plan what follows from it."""
        video = task.video
        record = self._manifest[video]
        if record.state is State.failed:  # another part of it did
            return
        record = self._manifest.update(
            video, seconds=record.seconds + outcome.seconds, warning=outcome.warning or record.warning
        )
        match outcome.result:
            case Failed(error):
                self._tasks = deque(other for other in self._tasks if other.video != video)
                self._finish(video, state=State.failed, error=error)
            case Done(outputs, frames):
                self._finish(video, state=State.done, outputs=list(outputs), frames=frames)
            case TooLong(frames):
                seams = self._seams[video] = Seams(split(frames, self._shard))
                self._tasks.extendleft(self._part(video, shard) for shard in reversed(seams.shards))
            case PartDone(pairs):
                self._continue_parts(video, cast(Shard, task.arguments[1]), pairs)

    def take_in_death(self, task: Task) -> None:
        """Enter that the worker of a task died, and begin it again if that has not cost too many."""
        task.deaths += 1
        self._manifest.update(task.video, deaths=self._manifest[task.video].deaths + 1)
        if task.deaths <= self._retries:
            self._tasks.appendleft(task)
        else:
            died = f"its worker died, {task.deaths} times: out of memory, or a codec crashed on it"
            self.take_in(task, Outcome(Failed(f"{task.video.path}: {died}"), 0.0, None))

    def remove_parts(self) -> None:
        """Remove what was kept of the parts of videos."""
        shutil.rmtree(self._parts, ignore_errors=True)

    def _finish(self, video: Video, **changes: object) -> None:
        self._left -= 1
        self._progress(video, self._manifest.update(video, **changes), self._left)

    def _continue_parts(self, video: Video, shard: Shard, pairs: list[int]) -> None:
        seams = self._seams[video]
        seams.add(shard, pairs)
        if not seams.complete:
            return
        repairs = seams.repairs()
        self._tasks.extendleft(self._part(video, repair) for repair in reversed(repairs))
        if not repairs:
            self._tasks.appendleft(Task(video, "join", (self._folder(video),)))

    def _part(self, video: Video, shard: Shard) -> Task:
        return Task(video, "segment_part", (self._folder(video), shard))

    def _folder(self, video: Video) -> Path:
        """Where the parts of a video are kept: those of the same video, unchanged, split the same way."""
        key = f"{video.path}\n{self._manifest[video].modified}\n{self._shard}"
        return self._parts / hashlib.sha256(key.encode()).hexdigest()[:16]

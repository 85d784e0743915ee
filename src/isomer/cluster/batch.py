"""Many videos over Ray: on this machine with no set-up, or on a cluster."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import shutil
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from isomer.cluster.inputs import Video, find_videos
from isomer.cluster.manifest import Manifest, Record, State
from isomer.cluster.settings import Settings
from isomer.cluster.shards import Seams, Shard, split
from isomer.cluster.worker import Done, Failed, Outcome, PartDone, TooLong, Worker
from isomer.errors import ArgumentError, InputError, require
from isomer.options import OptionGroup, option

_MANIFEST = "manifest.json"
_PARTS = ".isomer-parts"

_log = logging.getLogger(__name__)

_OBJECT_STORE = 80 * 2**20  # bytes: next to the least Ray accepts, because paths and counts is all that is sent

Progress = Callable[[Video, Record, int], None]


@dataclass(frozen=True)
class Resources(OptionGroup):
    """What the workers run on."""

    address: str | None = option(
        None, "of a Ray cluster, such as auto or ray://HOST:10001; without it, this machine alone", kind=str
    )
    workers: int | None = option(None, "workers, without it as many as there is room for", kind=int, low=1)
    cpus: int = option(2, "cores a worker, which reads, finds the flow and segments at the same time", low=1)
    retries: int = option(2, "begin a video again whose worker died, this often", low=0)


@dataclass(frozen=True)
class BatchSummary:
    """What became of a batch.

    Attributes:
        done: videos segmented by this run.
        failed: videos that failed, in this run or, if they were not tried again, before.
        skipped: videos that an earlier run had segmented.
        frames: segmented by this run.
        manifest: the file that tells of each video.
    """

    done: int
    failed: int
    skipped: int
    frames: int
    manifest: Path


def segment_batch(
    inputs: Sequence[str | Path],
    output: str | Path,
    settings: Settings | None = None,
    resources: Resources | None = None,
    *,
    retry_failed: bool = False,
    started: Callable[[int], object] = lambda videos: None,
    progress: Progress = lambda video, record, left: None,
) -> BatchSummary:
    """Segment many videos; run again, it goes on where it stopped.

    A video that cannot be segmented fails by itself. One whose worker dies is begun again, `retries` times.
    On a cluster all paths must mean the same on all machines.

    Args:
        inputs: see `isomer.cluster.inputs.find_videos`.
        output: folder of the outputs and of `manifest.json`.
        settings: what to make of each video.
        resources: what to run on.
        retry_failed: take up again what failed in an earlier run.
        started: is called with the number of videos to be segmented, once input, output and Ray are found good.
        progress: is called when a video is done or has failed, with the number of those that are left.

    Raises:
        InputError: Ray is not installed, the cluster is not there, or an input, setting or output is no good.
    """
    settings, resources = settings or Settings(), resources or Resources()
    videos = find_videos(inputs, output)
    output = Path(output).absolute()
    manifest = Manifest(output / _MANIFEST, settings.made_with())
    _import_ray(resources)
    pending = manifest.open(videos, retry_failed=retry_failed)
    if pending:
        try:
            with _ray_running(resources):
                started(len(pending))
                _Batch(settings, resources, manifest, output / _PARTS, progress).run(pending)
        finally:
            manifest.save()
    states = [manifest[video].state for video in videos]
    tried = [manifest[video] for video in pending]
    done = [record for record in tried if record.state is State.done]
    return BatchSummary(
        done=len(done),
        failed=states.count(State.failed),
        skipped=states.count(State.done) - len(done),
        frames=sum(record.frames for record in done),
        manifest=manifest.path,
    )


@dataclass
class _Task:
    """A call of a worker's method for a video, and how many workers it has cost."""

    video: Video
    method: str
    arguments: tuple[object, ...] = ()
    deaths: int = 0


@dataclass(frozen=True)
class _Actor:
    """A worker, and the number of its place on this machine."""

    place: int
    handle: Any


class _Batch:
    """One run: hands tasks to workers that are ready, takes in outcomes, replaces workers that died."""

    def __init__(
        self, settings: Settings, resources: Resources, manifest: Manifest, parts: Path, progress: Progress
    ) -> None:
        self._settings = settings
        self._resources = resources
        self._manifest = manifest
        self._parts = parts
        self._progress = progress
        self._tasks: deque[_Task] = deque()
        self._ready: list[_Actor] = []
        self._calls: dict[Any, tuple[_Actor, _Task | None]] = {}  # without a task: loads the model
        self._seams: dict[Video, Seams] = {}
        self._deaths_in_loading = 0

    def run(self, videos: Sequence[Video]) -> None:
        """Segment the videos; the manifest then says what became of each."""
        import ray

        self._tasks.extend(_Task(video, "segment") for video in videos)
        self._left = len(videos)
        self._gpus, workers = _room(self._resources, self._settings.device)
        for place in range(workers if self._settings.shard else min(workers, len(videos))):
            self._start(place)
        while self._tasks or any(task for _, task in self._calls.values()):
            while self._tasks and self._ready:
                self._hand_out(self._tasks.popleft(), self._ready.pop())
            (call,), _ = ray.wait(list(self._calls), num_returns=1)
            actor, task = self._calls.pop(call)
            try:
                answer = ray.get(call)
            except ray.exceptions.RayError as error:
                self._replace(actor, task, error)
                continue
            self._ready.append(actor)
            if task is not None:
                self._take_in(task, answer)
            elif answer is not None:
                raise answer
            else:
                self._deaths_in_loading = 0
        shutil.rmtree(self._parts, ignore_errors=True)

    def _start(self, place: int) -> None:
        """Start a worker. It gets tasks once it has loaded the model: it may have to wait for room."""
        import ray

        cpus = self._resources.cpus
        cores = _cores()[place * cpus : (place + 1) * cpus] if self._resources.address is None else []
        actor: Any = ray.remote(Worker).options(num_cpus=cpus, num_gpus=self._gpus)
        handle = actor.remote(self._settings, cores if len(cores) == cpus else [])
        self._calls[handle.load.remote()] = (_Actor(place, handle), None)

    def _hand_out(self, task: _Task, actor: _Actor) -> None:
        call = actor.handle.run.remote(task.method, task.video, *task.arguments)
        self._calls[call] = (actor, task)

    def _replace(self, dead: _Actor, task: _Task | None, error: Exception) -> None:
        """Start a worker in place of a dead one, and begin its task again if that has not cost too many."""
        _log.info("a worker died: %s", error)
        most = self._resources.retries
        if task is None:
            self._deaths_in_loading += 1
            if self._deaths_in_loading > most:
                if not self._ready and not self._calls:
                    raise InputError(f"workers die loading the model ({_line(error)}); try fewer")
                return  # the others go on: this machine may have no room for more
        else:
            task.deaths += 1
            self._manifest.update(task.video, deaths=self._manifest[task.video].deaths + 1)
            if task.deaths <= most:
                self._tasks.appendleft(task)
            else:
                died = f"its worker died, {task.deaths} times: out of memory, or a codec crashed on it"
                self._take_in(task, Outcome(Failed(f"{task.video.path}: {died}"), 0.0, None))
        self._start(dead.place)

    def _take_in(self, task: _Task, outcome: Outcome) -> None:
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
                seams = self._seams[video] = Seams(split(frames, self._settings.shard))
                self._tasks.extendleft(self._part(video, shard) for shard in reversed(seams.shards))
            case PartDone(pairs):
                self._continue_parts(video, cast(Shard, task.arguments[1]), pairs)

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
            self._tasks.appendleft(_Task(video, "join", (self._folder(video),)))

    def _part(self, video: Video, shard: Shard) -> _Task:
        return _Task(video, "segment_part", (self._folder(video), shard))

    def _folder(self, video: Video) -> Path:
        """Where the parts of a video are kept: those of the same video, unchanged, split the same way."""
        key = f"{video.path}\n{self._manifest[video].modified}\n{self._settings.shard}"
        return self._parts / hashlib.sha256(key.encode()).hexdigest()[:16]


def _import_ray(resources: Resources) -> None:
    """Import Ray, which reads its environment at once, such that it tells nobody and obeys nobody else.

    Raises:
        MissingPackageError: it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if resources.address is None and "ray" not in sys.modules:
        # It listens on every interface and runs what it is sent: let it ask for a token that only we know.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    require("isomer batch", "cluster", "ray")
    import ray  # noqa: F401


@contextmanager
def _ray_running(resources: Resources) -> Iterator[None]:
    """Start Ray on this machine, or join a cluster."""
    import ray

    if resources.address is None:
        options: dict[str, Any] = {
            "address": "local",
            "num_cpus": max(os.cpu_count() or 1, (resources.workers or 1) * resources.cpus),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
        }
    else:
        options = {"address": resources.address}
    try:
        _check_reachable(resources.address or "local")
        ray.init(**options, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:  # Ray raises bare ones
        problem = f"Ray cannot be started or reached ({_line(error)})"
        if resources.address is None:
            raise InputError(problem) from error
        raise ArgumentError("address", resources.address, problem) from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise OSError where nothing listens at an address: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _room(resources: Resources, device: str) -> tuple[int, int]:
    """Return GPUs a worker and the number of workers.

    Raises:
        InputError: there is no room for one.
    """
    import ray

    there = ray.cluster_resources()
    gpus = int(device.startswith("cuda") or (device == "auto" and there.get("GPU", 0) >= 1))
    most = int(there.get("CPU", 0)) // resources.cpus
    if gpus:
        most = min(most, int(there.get("GPU", 0)))
    if most < 1:
        room = f"{there.get('CPU', 0):g} cores and {there.get('GPU', 0):g} GPUs"
        raise ArgumentError("cpus", resources.cpus, f"no room for a worker on the device {device}; there are {room}")
    return gpus, min(most, resources.workers or most)


def _cores() -> list[int]:
    """Return the numbers of this machine's cores that we may use, where the system tells them."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]

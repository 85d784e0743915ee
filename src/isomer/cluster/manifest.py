"""What became of each video of a batch, in a file that lets a later run go on where this one stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from isomer.cluster.inputs import Video
from isomer.errors import InputError
from isomer.files import atomic_path

_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("modified", "frames", "deaths"), (int,)),
    "seconds": (int, float),
    "outputs": (list,),
    **dict.fromkeys(("error", "warning"), (str, type(None))),
}
_EVERY = 1.0  # seconds between two writes: with many thousand videos each takes a while


class State(str, Enum):
    """Of a video: `pending`, then `done` or `failed`."""

    pending = "pending"
    done = "done"
    failed = "failed"


@dataclass(frozen=True)
class Record:
    """What is known of a video.

    Attributes:
        state: see `State`.
        modified: modification time of the video, ns since 1970: a changed one is pending again.
        outputs: files and folders written.
        frames: how many were segmented.
        seconds: of work on it, summed over workers.
        deaths: of workers that were at it.
        error: why it failed.
        warning: what was wrong with the video, if it could be segmented all the same.
    """

    state: State = State.pending
    modified: int = 0
    outputs: list[str] = field(default_factory=list)
    frames: int = 0
    seconds: float = 0.0
    deaths: int = 0
    error: str | None = None
    warning: str | None = None


class Manifest:
    """The records of a batch, `{"settings": {...}, "videos": {path: record}}` in a JSON file.

    The file is only ever replaced whole. Records of videos that this run does not name are kept.

    Args:
        path: of the file.
        settings: what the outputs depend on.

    Raises:
        InputError: the file is no manifest, or its batch was made with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, object]) -> None:
        self.path = path
        self._settings = dict(settings)
        self._records = _read(path, self._settings)
        self._saved = 0.0

    def __getitem__(self, video: Video) -> Record:
        """Return the record of a video."""
        return self._records.get(str(video.path), Record())

    def open(self, videos: Iterable[Video], *, retry_failed: bool) -> list[Video]:
        """Enter the videos, which `save` writes, and return those that are to be segmented.

        A video that is unchanged stays done while its outputs exist, and stays failed.

        Args:
            videos: of this run.
            retry_failed: take up failed ones again.
        """
        pending = []
        for video in videos:
            record = self[video]
            modified = video.path.stat().st_mtime_ns if video.path.exists() else 0
            kept = record.modified == modified and (
                (record.state is State.done and all(Path(output).exists() for output in record.outputs))
                or (record.state is State.failed and not retry_failed)
            )
            if not kept:
                self._records[str(video.path)] = Record(modified=modified)
                pending.append(video)
        return pending

    def update(self, video: Video, **changes: object) -> Record:
        """Change fields of a record, and write the file unless that was done a moment ago."""
        record = self._records[str(video.path)] = replace(self[video], **changes)  # type: ignore[arg-type]
        if time.monotonic() - self._saved > _EVERY:
            self.save()
        return record

    def save(self) -> None:
        """Write the file."""
        videos = {path: asdict(record) for path, record in self._records.items()}
        text = json.dumps({"settings": self._settings, "videos": videos}, indent=1)
        with atomic_path(self.path) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        self._saved = time.monotonic()


def _read(path: Path, settings: Mapping[str, object]) -> dict[str, Record]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        made_with = dict(content["settings"])
        records = {video: _record(record) for video, record in content["videos"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: is no manifest of a batch; choose another output") from error
    for name, value in settings.items():
        if made_with.get(name) != value:
            raise InputError(
                f"{path}: its batch was made with {name} {made_with.get(name)}, not {value}; choose another output"
            )
    return records


def _record(content: dict[str, Any]) -> Record:
    """Return a record as JSON has it; TypeError or ValueError where a value cannot be meant."""
    record = Record(**content | {"state": State(content["state"])})
    for name, kinds in _KINDS.items():
        if not isinstance(getattr(record, name), kinds):
            raise TypeError(name)
    if not all(isinstance(output, str) and "\0" not in output for output in record.outputs):
        raise TypeError("outputs")
    return record

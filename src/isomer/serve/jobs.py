"""Jobs and where they are kept: a folder each, with a record that is only ever replaced whole."""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any

from isomer.errors import InputError
from isomer.files import atomic_path, take_lock
from isomer.options import VideoOptions
from isomer.serve.log import log_event

SCRATCH = ".scratch-"
"""Begins the names of folders, in that of a job, in which results are written until they are whole."""

_RECORD = "job.json"
_ID = re.compile(r"[A-Za-z0-9_-]{22}")


class State(str, Enum):
    """Of a job: `queued`, `running`, then for good `done`, `failed`, with an error, or `lost`, by crashes."""

    queued = "queued"
    running = "running"
    done = "done"
    failed = "failed"
    lost = "lost"

    @property
    def is_final(self) -> bool:
        """Whether the job will not change any more."""
        return self not in (State.queued, State.running)


@dataclass
class Job:
    """One video and what became of it; times are seconds since 1970.

    Attributes:
        id: names the job; who knows it may fetch and remove it.
        name: of the uploaded file, as the client calls it; for show only.
        quality: a name of `isomer.options.QUALITIES`.
        state: see `State`.
        created: when the upload was complete.
        started: when the segmentation began, the last time it did.
        finished: when the state became final.
        expires: when the job and its files will be removed.
        attempts: how often the segmentation was begun; a second one follows a crash of the server.
        position: in the queue, from 1; null unless queued.
        frames_done: frames segmented so far.
        frames_total: frames in all, if the container says so.
        frames_per_second: segmented, since the first frame was taken up.
        width: of every frame, in pixels, once known.
        height: likewise.
        fps: the video's own frames per second, once known.
        error: why it failed or was lost.
        warning: what was wrong with the video, if it could be segmented all the same.
        bytes: size of its files.
        corrections: what clients have said of frames, in order; see `isomer.serve.corrections`.
    """

    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    name: str = ""
    quality: str = VideoOptions.quality
    state: State = State.queued
    created: float = field(default_factory=time.time)
    started: float | None = None
    finished: float | None = None
    expires: float | None = None
    attempts: int = 0
    position: int | None = None
    frames_done: int = 0
    frames_total: int | None = None
    frames_per_second: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    error: str | None = None
    warning: str | None = None
    bytes: int = 0
    corrections: list[dict[str, Any]] = field(default_factory=list)

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self.name.rpartition(".")[0] or self.name


class JobStore:
    """The jobs' folders, in one folder that one server at a time may use.

    Args:
        folder: made if it is missing.

    Raises:
        InputError: the folder cannot be used, or another server uses it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("w")
        except OSError as error:
            raise InputError(f"{folder}: cannot be used ({error.strerror}); choose another folder") from error
        if not take_lock(self._lock.fileno()):
            self._lock.close()
            raise InputError(f"{folder}: another server uses it; choose another folder")

    def close(self) -> None:
        """Let another server use the folder."""
        self._lock.close()

    def path(self, job: Job) -> Path:
        """Return the folder of a job."""
        return self.folder / job.id

    def save(self, job: Job) -> None:
        """Replace the record of a job, and log how it stands."""
        with atomic_path(self.path(job) / _RECORD) as temporary:
            temporary.write_text(json.dumps(asdict(job)), encoding="utf-8")
        failure = {} if job.error is None else {"error": job.error}
        log_event(logging.INFO, "job", id=job.id, state=job.state.value, bytes=job.bytes, **failure)

    def measure(self, job: Job) -> None:
        """Set a job's `bytes`."""
        total = 0
        for file in self.path(job).rglob("*"):
            with suppress(FileNotFoundError):  # a temporary one
                total += file.stat().st_size
        job.bytes = total

    def sweep(self, job: Job) -> None:
        """Remove what results that were cut short have left."""
        for folder in self.path(job).glob(f"{SCRATCH}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def remove(self, job: Job) -> None:
        """Remove a job's files."""
        shutil.rmtree(self.path(job), ignore_errors=True)

    def recover(self) -> list[Job]:
        """Return the jobs an earlier server left, oldest first; remove uploads that it never accepted."""
        jobs = []
        for folder in self.folder.iterdir():
            if not (folder.is_dir() and _ID.fullmatch(folder.name)):
                continue
            try:
                job = _parsed((folder / _RECORD).read_text(encoding="utf-8"))
            except (OSError, ValueError, TypeError):
                shutil.rmtree(folder, ignore_errors=True)
            else:
                jobs.append(job)
        return sorted(jobs, key=lambda job: job.created)

    def clean(self, job: Job) -> None:
        """Remove what a segmentation that was cut short left, down to the upload."""
        for entry in self.path(job).iterdir():
            if entry.name in (_RECORD, "video", "frames"):
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _parsed(text: str) -> Job:
    known = {attribute.name for attribute in fields(Job)}
    job = Job(**{key: value for key, value in json.loads(text).items() if key in known})
    job.state = State(job.state)
    return job

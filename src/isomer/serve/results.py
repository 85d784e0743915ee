"""What clients fetch of jobs that are done; each file is written once, at the first call for it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from isomer.errors import InputError
from isomer.media import OUTPUTS
from isomer.options import Adjustments, VideoOptions, options_of
from isomer.serve import tasks
from isomer.serve.errors import QueueFullError
from isomer.serve.jobs import Job, JobStore
from isomer.serve.lane import Lane
from isomer.serve.log import log_event
from isomer.serve.metrics import Metrics
from isomer.serve.options import Limits
from isomer.serve.storage import Storage
from isomer.serve.worker import TaskFailedError, TaskTimeoutError, WorkerDiedError

_HEADERS = 2**20
"""Bytes for a result's headers and indices."""


class Results:
    """Files of jobs that are done, and the example.

    Args:
        lane: where they are written.
        store: keeps the jobs' files.
        storage: says whether more can be kept.
        limits: what is taken.
        options: of what clients do not choose.
        metrics: counts what is written.
    """

    def __init__(
        self, lane: Lane, store: JobStore, storage: Storage, limits: Limits, options: VideoOptions, metrics: Metrics
    ) -> None:
        self._lane = lane
        self._store = store
        self._storage = storage
        self._limits = limits
        self._options = options
        self._metrics = metrics
        self._files: dict[Path, asyncio.Task[None]] = {}
        self._turn = asyncio.Lock()

    async def stop(self) -> None:
        """Wait until nothing is written any more; to be called once the lane is closed."""
        await asyncio.gather(*self._files.values(), return_exceptions=True)

    def forget(self, job: Job) -> None:
        """Give up what is to be written of a job."""
        for path, task in list(self._files.items()):
            if self._store.path(job) in path.parents:
                task.cancel()

    def times(self, job: Job) -> Path:
        """Return the times of the frames of a job that is done."""
        return self._store.path(job) / "times.json"

    async def preview(self, job: Job, asked: Mapping[str, Any]) -> Path:
        """Return the preview of a job that is done; errors as of `result`.

        Args:
            job: it is done.
            asked: values of `threshold`, `keep`, `drop` and `edges`.
        """
        edges = "map" if asked["edges"] == "map" else VideoOptions.edges  # a matte shows in results alone
        if asked["keep"] or asked["drop"] or job.corrections or edges != VideoOptions.edges:
            options = replace(self._options, objects=False, **{**asked, "edges": edges})
            return await self._once_written(job, tasks.PREVIEW, options)
        return self._store.path(job) / "preview.mp4"

    async def objects(self, job: Job, asked: Mapping[str, Any]) -> Path:
        """Return the list of the objects of a job that is done; errors as of `result`.

        Args:
            job: it is done.
            asked: the value of `threshold`.
        """
        return await self._once_written(job, tasks.OBJECTS, replace(self._options, objects=False, **asked))

    async def project(self, job: Job, asked: Mapping[str, Any]) -> Path:
        """Return a zip of the project of a job that is done; errors as of `result`.

        Args:
            job: it is done.
            asked: values of `threshold`, `keep` and `drop`.
        """
        return await self._once_written(job, tasks.PROJECT, replace(self._options, objects=False, **asked))

    async def result(self, job: Job, kind: str, asked: Mapping[str, Any]) -> Path:
        """Return a result of a job that is done.

        Args:
            job: it is done.
            kind: a key of `isomer.media.OUTPUTS`.
            asked: values of options by name, numbers in hundredths, no background that is a file.

        Raises:
            QueueFullError: too many results are being written.
            StorageFullError: nothing more can be kept.
            InputError: it cannot be written.
        """
        without_influence = {*options_of(Adjustments)} if kind == "probabilities" else set()
        if asked["keep"] or asked["drop"] or job.corrections:
            without_influence.discard("threshold")  # it decides on who there is
        if not OUTPUTS[kind].shows_background:
            without_influence.add("background")
        used = {name: value for name, value in asked.items() if name not in without_influence}
        return await self._once_written(job, kind, replace(self._options, outputs=(kind,), **used))

    async def _once_written(self, job: Job, kind: str, options: VideoOptions) -> Path:
        options = replace(options, keep=tuple(options.keep), drop=tuple(options.drop))
        wanted = tasks.Wanted(kind, options, tuple(job.corrections), job.name)
        path = self._store.path(job) / "results" / _file_name(wanted)
        if not path.exists():
            if len(self._files) > self._limits.queue:
                raise QueueFullError
            await self.once(path, lambda: self._write(job, wanted, path))
        return path

    async def example(self) -> Path:
        """Return a video to try.

        Raises:
            InputError: it cannot be written.
        """
        path = self._store.folder / "example.mp4"
        if not path.exists():
            seconds = self._limits.job_seconds
            await self.once(path, lambda: self._lane.run(None, tasks.draw_example, path, seconds=seconds))
        return path

    async def once(self, path: Path, write: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait until a file is written, however many ask for it at the same time.

        Raises:
            InputError: it cannot be written, or its job was removed.
        """
        if path not in self._files:
            self._files[path] = asyncio.create_task(write())
            self._files[path].add_done_callback(lambda _: self._files.pop(path))
        task = self._files[path]
        try:
            await asyncio.wait([task])  # unlike awaiting it, this does not cancel what others wait for, too
            task.result()
        except asyncio.CancelledError:
            if not task.cancelled():
                raise
            raise InputError("the job was removed") from None
        except TaskTimeoutError as error:
            raise InputError(
                f"{path.name}: {error} (the server's limit --job-seconds); give a shorter video"
            ) from error
        except (TaskFailedError, WorkerDiedError) as error:
            log_event(logging.ERROR, "result", path=path, error=error)
            raise InputError(f"{path.name}: could not be written; the server's log says why") from error

    async def _write(self, job: Job, wanted: tasks.Wanted, path: Path) -> None:
        async with self._turn:  # so that what one takes is known when the next begins
            most = min(_most_bytes(job, wanted.kind), self._storage.free)
            with self._storage.reserve(most):
                try:
                    await self._lane.run(
                        job,
                        tasks.write_result,
                        self._store.path(job),
                        wanted,
                        path,
                        self._limits,
                        most,
                        seconds=self._limits.job_seconds,
                    )
                finally:
                    await asyncio.to_thread(self._store.sweep, job)
                    await asyncio.to_thread(self._store.measure, job)
        self._metrics.results.labels(wanted.kind).inc()


def _most_bytes(job: Job, kind: str) -> int:
    """Return more than a result of a job takes: its pixels, uncompressed, and what else the video has, as sound."""
    pixels = (job.frames_total or 0) * (job.width or 0) * (job.height or 0)
    return job.bytes + _HEADERS + tasks.raw_bytes(kind) * pixels


def _file_name(wanted: tasks.Wanted) -> str:
    """Return the name of a result's file, which tells it from those with other options or corrections."""
    kind, options = wanted.kind, wanted.options
    parts = [kind, f"{options.threshold:.2f}"]
    if options.objects:
        parts.append("objects")
    if options.edges != VideoOptions.edges:
        parts.append(options.edges)
    if kind in OUTPUTS and OUTPUTS[kind].shows_background:
        parts.append(str(options.background).strip("#").replace(":", ""))
    adjusted = replace(options, threshold=VideoOptions.threshold).of(Adjustments)
    said = [*options.keep, "", *options.drop, "", *map(repr, adjusted.values()), json.dumps(wanted.corrections)]
    if options.keep or options.drop or wanted.corrections or adjusted != Adjustments().of(Adjustments):
        parts.append(hashlib.sha256("\n".join(said).encode()).hexdigest()[:16])
    return "-".join(parts) + result_suffix(kind)


def result_suffix(kind: str) -> str:
    """Return the suffix of a result's file: of a video, or of the zip of a folder."""
    suffix = {tasks.PREVIEW: ".mp4", tasks.OBJECTS: ".json", tasks.PROJECT: ".zip"}.get(kind)
    return suffix or Path(OUTPUTS[kind].suffix).suffix or ".zip"

"""The life of jobs: from the upload, through the segmentation, to the end of their files."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from isomer.errors import InputError
from isomer.options import VideoOptions
from isomer.serve import tasks
from isomer.serve.errors import QueueFullError
from isomer.serve.jobs import Job, JobStore, State
from isomer.serve.lane import Lane
from isomer.serve.log import log_event
from isomer.serve.options import Limits
from isomer.serve.results import Results
from isomer.serve.runner import Runner
from isomer.serve.storage import Storage, full_disk_said
from isomer.serve.table import JobTable
from isomer.serve.worker import TaskFailedError, TaskTimeoutError, WorkerDiedError

_ATTEMPTS = 2
_MIB = 2**20

CORRECTIONS = 200
"""The most that a job takes."""


class JobQueue:
    """Takes uploads, has them segmented and results of them written, and removes what is old.

    All methods are for the event loop's thread. Three processes do the work: one segments, one writes
    results, which therefore never wait for a long video, and one checks uploads.

    Args:
        folder: keeps the jobs; what an earlier server left there is taken up by `start`.
        limits: what is taken.
        options: how it segments, and the threshold and objects of results for which no other are asked.
        segment: the task that segments; see `isomer.serve.tasks.segment`.

    Attributes:
        results: what clients fetch of jobs that are done.

    Raises:
        InputError: the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        options: VideoOptions,
        segment: Callable[..., tasks.Finished] = tasks.segment,
    ) -> None:
        self.limits = limits
        self.options = options
        # OpenCV reads it when it is loaded, and then refuses larger images by their header.
        environment = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(limits.pixels)}
        self._lanes = [Lane(environment) for _ in range(3)]
        self._segmenting, writing, self._checking = self._lanes
        self._store = JobStore(folder)
        self._table = JobTable(self._store, limits.retention_seconds)
        self._storage = Storage(limits.storage_mib * _MIB, lambda: self._table.stored_bytes)
        self._runner = Runner(self._segmenting, self._table, self._store, limits, options, segment)
        self.metrics = self._table.metrics
        self.results = Results(writing, self._store, self._storage, limits, options, self.metrics)
        self._uploads = 0
        self._loops: list[asyncio.Task[None]] = []

    @property
    def is_alive(self) -> bool:
        """Whether jobs are worked on."""
        return bool(self._loops) and not any(loop.done() for loop in self._loops)

    async def start(self) -> None:
        """Take up what an earlier server left and begin to work.

        What was queued is queued again, and what was running too, once; at the second crash it is lost.
        """
        for job in await asyncio.to_thread(self._store.recover):
            self._table.add(job)
            if job.state.is_final:
                self._store.sweep(job)
                continue
            self._store.clean(job)
            if job.state is State.running and job.attempts >= _ATTEMPTS:
                self._table.finish(job, State.lost, "the server stopped twice while it was segmented; submit it again")
            else:
                self._runner.put(job)
        self._loops = [asyncio.create_task(self._runner.work()), asyncio.create_task(self._expire())]

    async def stop(self) -> None:
        """End the work at once; a job that is cut short goes back into the queue, for the next server."""
        for loop in self._loops:
            loop.cancel()
        running = [job for job in self._table if job.state is State.running]
        for lane in self._lanes:
            await asyncio.to_thread(lane.close)
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self.results.stop()
        for job in running:
            job.attempts -= 1
            self._table.enqueue(job)
        self._store.close()

    async def load(self) -> None:
        """Load the model.

        Raises:
            InputError: no such model or device, or it cannot be loaded.
        """
        try:
            await self._segmenting.run(None, tasks.load, self.options, seconds=self.limits.job_seconds)
        except (TaskTimeoutError, TaskFailedError, WorkerDiedError) as error:
            log_event(logging.ERROR, "load", model=self.options.settled.model, error=error)
            raise InputError(f"{self.options.settled.model}: could not be loaded; the log above says why") from error

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[tuple[Job, Path]]:
        """Yield a new job and the folder for its upload; afterwards it is checked and queued, or gone.

        It takes a place in the queue from the start, so that no one uploads in vain.

        Raises:
            QueueFullError: all places are taken.
            StorageFullError: nothing more can be kept.
            InputError: it is nothing that can be segmented, or beyond the limits.
        """
        if self._uploads + self._table.count(State.queued) >= self.limits.queue:
            raise QueueFullError
        with full_disk_said(), self._storage.reserve(self.limits.upload_mib * _MIB):
            job = Job()
            folder = self._store.path(job)
            self._uploads += 1
            try:
                folder.mkdir()
                yield job, folder
                await self._checking.run(job, tasks.check, folder, self.limits, seconds=self.limits.upload_seconds)
                await asyncio.to_thread(self._store.measure, job)
                job.created = time.time()
                self._runner.put(job)
            except (TaskTimeoutError, TaskFailedError, WorkerDiedError) as error:
                log_event(logging.ERROR, "upload", id=job.id, error=error)
                raise InputError("video: cannot be read without harm; it is damaged or made to do so") from error
            finally:
                self._uploads -= 1
                if job not in self._table:
                    await asyncio.to_thread(self._store.remove, job)
        self.metrics.upload_bytes.inc(job.bytes)

    def get(self, identifier: str) -> Job | None:
        """Return the job of this id as it stands, or None."""
        return self._table.get(identifier)

    async def remove(self, identifier: str) -> None:
        """Forget a job, whatever it is at, and remove its files; one that is gone already is no error."""
        job = self._table.pop(identifier)
        if job is None:
            return
        self.results.forget(job)
        for lane in self._lanes:
            await asyncio.to_thread(lane.kill, job)
        await asyncio.to_thread(self._store.remove, job)

    async def correct(self, job: Job, said: dict[str, Any]) -> None:
        """Keep a correction of a job that is done, as `isomer.segment.objects.corrections.Correction.of` takes it.

        Raises:
            InputError: the job has no such frame, or too many corrections.
            StorageFullError: nothing more can be kept.
        """
        frames = job.frames_total or 0
        if said["frame"] >= frames:
            raise InputError(f"frame: {said['frame']} is not in the video; choose one of 0 to {frames - 1}")
        if len(job.corrections) >= CORRECTIONS:
            raise InputError(f"correction: the job has {CORRECTIONS}, and takes no more; undo some")
        await self._keep_corrections(job, [*job.corrections, said])

    async def undo(self, job: Job) -> None:
        """Take the last correction of a job back.

        Raises:
            StorageFullError: this cannot be kept.
        """
        await self._keep_corrections(job, job.corrections[:-1])

    async def _keep_corrections(self, job: Job, corrections: list[dict[str, Any]]) -> None:
        before = job.corrections
        with full_disk_said(), self._storage.reserve(len(json.dumps(corrections))):
            job.corrections = corrections
            try:
                self._store.save(job)
            except BaseException:
                job.corrections = before
                raise
        await asyncio.to_thread(self._store.measure, job)

    async def _expire(self) -> None:
        while True:
            now = time.time()
            for job in self._table:
                if job.expires is not None and job.expires <= now:
                    await self.remove(job.id)
            await asyncio.sleep(1)

"""The segmentation of the jobs that wait, one at a time, and how each ends."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import replace

from isomer.errors import InputError
from isomer.options import VideoOptions
from isomer.serve import tasks
from isomer.serve.errors import OUR_FAULT, StorageFullError
from isomer.serve.jobs import Job, JobStore, State
from isomer.serve.lane import Lane
from isomer.serve.log import log_event
from isomer.serve.options import Limits
from isomer.serve.storage import full_disk_said
from isomer.serve.table import JobTable
from isomer.serve.worker import TaskFailedError, TaskTimeoutError, WorkerDiedError


class Runner:
    """Segments jobs in the order they come.

    Args:
        lane: where it segments.
        table: is told how jobs stand.
        store: keeps their files.
        limits: what is taken.
        options: how it segments, but for the quality, which is the job's.
        segment: the task that does; see `isomer.serve.tasks.segment`.
    """

    def __init__(
        self,
        lane: Lane,
        table: JobTable,
        store: JobStore,
        limits: Limits,
        options: VideoOptions,
        segment: Callable[..., tasks.Finished],
    ) -> None:
        self._lane = lane
        self._table = table
        self._store = store
        self._limits = limits
        self._options = options
        self._segment = segment
        self._pending: asyncio.Queue[Job] = asyncio.Queue()

    def put(self, job: Job) -> None:
        """Let a job wait for its turn; one that is removed meanwhile is passed over."""
        self._table.enqueue(job)
        self._pending.put_nowait(job)

    async def work(self) -> None:
        """Segment what comes, without end."""
        while True:
            job = await self._pending.get()
            if job in self._table:
                try:
                    with full_disk_said():
                        await self._run(job)
                except StorageFullError as error:
                    self._table.end(job, State.failed, str(error))
                except Exception:  # the next job may fare better
                    log_event(logging.ERROR, "job", id=job.id, error=traceback.format_exc())
                    self._table.end(job, State.failed, OUR_FAULT)

    async def _run(self, job: Job) -> None:
        self._table.begin(job)
        rate = _Rate()
        try:
            segmented: tasks.Finished = await self._lane.run(
                job,
                self._segment,
                self._store.path(job),
                replace(self._options, quality=job.quality),
                self._limits,
                seconds=self._limits.job_seconds,
                report=lambda done, total: self._table.advance(job, done, total, rate(done)),
            )
        except InputError as error:
            self._table.finish(job, State.failed, str(error))
        except TaskTimeoutError as error:
            self._table.finish(
                job, State.failed, f"{error} (the server's limit --job-seconds); give a shorter or smaller video"
            )
        except WorkerDiedError as error:
            self._table.finish(job, State.failed, f"{error}; the video may need too much memory")
        except TaskFailedError as error:
            log_event(logging.ERROR, "job", id=job.id, error=error)
            self._table.finish(job, State.failed, OUR_FAULT)
        else:
            job.frames_done = job.frames_total = segmented.frames
            job.width, job.height, job.fps = segmented.width, segmented.height, segmented.fps
            job.warning = segmented.warning
            await asyncio.to_thread(self._store.measure, job)
            self._table.finish(job, State.done)


class _Rate:
    """Frames per second since the first report, which is that of frame 0."""

    def __init__(self) -> None:
        self._start: float | None = None

    def __call__(self, done: int) -> float | None:
        now = time.monotonic()
        if self._start is None:
            self._start = now
        return round(done / (now - self._start), 2) if now > self._start and done else None

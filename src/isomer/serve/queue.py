"""The bounded queue of jobs, the worker that segments them, and the life of their files."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from isomer.errors import InputError
from isomer.media import OUTPUTS
from isomer.options import VideoOptions
from isomer.serve import tasks
from isomer.serve.jobs import Job, JobStore, State
from isomer.serve.log import log_event
from isomer.serve.metrics import Metrics
from isomer.serve.options import Limits
from isomer.serve.worker import TaskFailedError, TaskTimeoutError, Worker, WorkerDiedError

_ATTEMPTS = 2
_MIB = 2**20


class QueueFullError(RuntimeError):
    """As many jobs wait as may."""


class StorageFullError(RuntimeError):
    """As much is kept as may be."""


class Lane:
    """A worker process and the thread that waits for it: one task at a time, in the order they come."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._worker = Worker(environment)
        self._thread = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self._job: Job | None = None
        self.waiting = 0

    async def run(
        self,
        job: Job | None,
        task: Callable[..., Any],
        *arguments: object,
        seconds: float,
        report: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> Any:
        """Run a task for a job in the worker; see `Worker.run`."""
        loop = asyncio.get_running_loop()

        def forward(done: int, total: int | None) -> None:
            loop.call_soon_threadsafe(report, done, total)

        def work() -> Any:
            with self._lock:
                self._job = job
            try:
                return self._worker.run(task, *arguments, seconds=seconds, report=forward)
            finally:
                with self._lock:
                    self._job = None

        self.waiting += 1
        try:
            return await loop.run_in_executor(self._thread, work)
        finally:
            self.waiting -= 1

    def kill(self, job: Job) -> None:
        """End the task that runs, if it is this job's."""
        with self._lock:  # so that the lane does not move on to another job meanwhile
            if self._job is job:
                self._worker.kill()

    def close(self) -> None:
        """End the process; tasks that wait are not begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._worker.close()


class JobQueue:
    """Takes uploads, segments one at a time, writes results, and removes what is old.

    All methods are for the event loop's thread. Three processes do the work: one segments, one writes
    results, which therefore never wait for a long video, and one checks uploads.

    Args:
        folder: keeps the jobs; what an earlier server left there is taken up by `start`.
        limits: what is taken.
        options: how it segments, and the threshold and objects of results for which no other are asked.
        segment: the task that segments; see `isomer.serve.tasks.segment`.

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
        self.metrics = Metrics(
            lambda: self._count(State.queued), lambda: self._count(State.running), lambda: self._stored
        )
        self.options = options
        self._segment = segment
        self._store = JobStore(folder)
        self._jobs: dict[str, Job] = {}
        self._pending: asyncio.Queue[Job] = asyncio.Queue()
        self._uploads = 0
        self._files: dict[Path, asyncio.Task[None]] = {}
        # OpenCV reads it when it is loaded, and then refuses larger images by their header.
        environment = {"OPENCV_IO_MAX_IMAGE_PIXELS": str(limits.pixels)}
        self._lanes = [Lane(environment) for _ in range(3)]
        self._segmenting, self._writing, self._checking = self._lanes
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
            self._jobs[job.id] = job
            if job.state.is_final:
                continue
            self._store.clean(job)
            if job.state is State.running and job.attempts >= _ATTEMPTS:
                self._finish(job, State.lost, error="the server stopped twice while it was segmented; submit it again")
            else:
                self._enqueue(job)
        self._loops = [asyncio.create_task(self._work()), asyncio.create_task(self._expire())]

    async def stop(self) -> None:
        """End the work at once; a job that is cut short goes back into the queue, for the next server."""
        for loop in self._loops:
            loop.cancel()
        running = [job for job in self._jobs.values() if job.state is State.running]
        for lane in self._lanes:
            await asyncio.to_thread(lane.close)
        await asyncio.gather(*self._loops, *self._files.values(), return_exceptions=True)
        for job in running:
            job.state, job.attempts = State.queued, job.attempts - 1
            self._store.save(job)
        self._store.close()

    async def load(self) -> None:
        """Load the model.

        Raises:
            InputError: no such model or device, or it cannot be loaded.
        """
        try:
            await self._segmenting.run(None, tasks.load, self.options, seconds=self.limits.job_seconds)
        except (TaskTimeoutError, TaskFailedError, WorkerDiedError) as error:
            log_event(logging.ERROR, "load", model=self.options.model, error=error)
            raise InputError(f"{self.options.model}: could not be loaded; the log above says why") from error

    @asynccontextmanager
    async def upload(self) -> AsyncIterator[tuple[Job, Path]]:
        """Yield a new job and the folder for its upload; afterwards it is checked and queued, or gone.

        It takes a place in the queue from the start, so that no one uploads in vain.

        Raises:
            QueueFullError: all places are taken.
            StorageFullError: nothing more can be kept.
            InputError: it is nothing that can be segmented, or beyond the limits.
        """
        if self._uploads + self._count(State.queued) >= self.limits.queue:
            raise QueueFullError
        self._check_storage(self._uploads + 1)
        job = Job()
        folder = self._store.path(job)
        self._uploads += 1
        try:
            folder.mkdir()
            yield job, folder
            await self._checking.run(job, tasks.check, folder, self.limits, seconds=self.limits.upload_seconds)
            await asyncio.to_thread(self._store.measure, job)
            job.created = time.time()
            self._enqueue(job)
        except (TaskTimeoutError, TaskFailedError, WorkerDiedError) as error:
            log_event(logging.ERROR, "upload", id=job.id, error=error)
            raise InputError("video: cannot be read without harm; it is damaged or made to do so") from error
        finally:
            self._uploads -= 1
            if job.id not in self._jobs:
                await asyncio.to_thread(self._store.remove, job)
        self.metrics.upload_bytes.inc(job.bytes)

    def get(self, identifier: str) -> Job | None:
        """Return the job of this id as it stands, or None."""
        job = self._jobs.get(identifier)
        if job is None or job.state is not State.queued:
            return job
        queued = [other.id for other in self._jobs.values() if other.state is State.queued]
        return replace(job, position=queued.index(job.id) + 1)

    async def remove(self, identifier: str) -> None:
        """Forget a job, whatever it is at, and remove its files; one that is gone already is no error."""
        job = self._jobs.pop(identifier, None)
        if job is None:
            return
        for path, task in list(self._files.items()):
            if self._store.path(job) in path.parents:
                task.cancel()
        for lane in self._lanes:
            await asyncio.to_thread(lane.kill, job)
        await asyncio.to_thread(self._store.remove, job)

    def preview(self, job: Job) -> Path:
        """Return the preview of a job that is done; see `isomer.serve.preview`."""
        return self._store.path(job) / "preview.mp4"

    async def result(self, job: Job, kind: str, threshold: float, objects: bool) -> Path:
        """Return a result of a job that is done, written at the first call for it.

        Args:
            job: it is done.
            kind: a key of `isomer.media.OUTPUTS`.
            threshold: in hundredths.
            objects: tell objects apart.

        Raises:
            QueueFullError: too many results are being written.
            StorageFullError: nothing more can be kept.
            InputError: it cannot be written.
        """
        if kind == "probabilities":
            threshold = 0.5  # has no influence on them
        name = f"{kind}-{threshold:.2f}{'-objects' * objects}{result_suffix(kind)}"
        path = self._store.path(job) / "results" / name
        if not path.exists():
            if self._writing.waiting > self.limits.queue:
                raise QueueFullError
            self._check_storage(0)
            await self._once(path, lambda: self._write(job, kind, threshold, objects, path))
        return path

    async def example(self) -> Path:
        """Return a video to try, drawn at the first call for it.

        Raises:
            InputError: it cannot be written.
        """
        path = self._store.folder / "example.mp4"
        if not path.exists():
            seconds = self.limits.job_seconds
            await self._once(path, lambda: self._writing.run(None, tasks.draw_example, path, seconds=seconds))
        return path

    async def _once(self, path: Path, write: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Wait until a file is written, however many ask for it at the same time."""
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
            raise InputError(f"{path.name}: {error}; give a shorter video") from error
        except (TaskFailedError, WorkerDiedError) as error:
            log_event(logging.ERROR, "result", path=path, error=error)
            raise InputError(f"{path.name}: could not be written; the server's log says why") from error

    async def _write(self, job: Job, kind: str, threshold: float, objects: bool, path: Path) -> None:
        await self._writing.run(
            job,
            tasks.write_result,
            self._store.path(job),
            kind,
            threshold,
            objects,
            path,
            self.limits,
            seconds=self.limits.job_seconds,
        )
        self.metrics.results.labels(kind).inc()
        await asyncio.to_thread(self._store.measure, job)

    async def _work(self) -> None:
        while True:
            job = await self._pending.get()
            if job.id in self._jobs:
                try:
                    await self._run(job)
                except Exception:  # a full disk, for instance; the next job may fare better
                    log_event(logging.ERROR, "job", id=job.id, error=traceback.format_exc())
                    job.state, job.error = State.failed, "an error of the server; its log says more"
                    job.expires = time.time() + self.limits.retention_seconds

    async def _run(self, job: Job) -> None:
        job.state, job.attempts, job.started = State.running, job.attempts + 1, time.time()
        job.frames_done = 0
        self._store.save(job)
        self.metrics.waiting.observe(job.started - job.created)
        try:
            segmented: tasks.Finished = await self._segmenting.run(
                job,
                self._segment,
                self._store.path(job),
                self.options,
                self.limits,
                seconds=self.limits.job_seconds,
                report=functools.partial(self._progress, job, _Rate()),
            )
        except InputError as error:
            self._finish(job, State.failed, error=str(error))
        except TaskTimeoutError as error:
            self._finish(job, State.failed, error=f"{error}; give a shorter or smaller video")
        except WorkerDiedError as error:
            self._finish(job, State.failed, error=f"{error}; the video may need too much memory")
        except TaskFailedError as error:
            log_event(logging.ERROR, "job", id=job.id, error=error)
            self._finish(job, State.failed, error="an error of the server; its log says more")
        else:
            job.frames_done = job.frames_total = segmented.frames
            job.width, job.height, job.fps = segmented.width, segmented.height, segmented.fps
            job.warning = segmented.warning
            await asyncio.to_thread(self._store.measure, job)
            self._finish(job, State.done)

    def _progress(self, job: Job, rate: _Rate, done: int, total: int | None) -> None:
        self.metrics.frames.inc(done - job.frames_done)
        job.frames_done, job.frames_total = done, total
        job.frames_per_second = rate(done)

    def _finish(self, job: Job, state: State, error: str | None = None) -> None:
        if job.id not in self._jobs:  # it was removed, which is why it ended
            return
        job.state, job.error, job.finished = state, error, time.time()
        job.expires = job.finished + self.limits.retention_seconds
        self._store.save(job)
        self.metrics.jobs.labels(state.value).inc()
        if job.started is not None and state is State.done:
            self.metrics.running.observe(job.finished - job.started)

    def _enqueue(self, job: Job) -> None:
        job.state = State.queued
        self._store.save(job)
        self._jobs[job.id] = job
        self._pending.put_nowait(job)

    async def _expire(self) -> None:
        while True:
            now = time.time()
            for job in list(self._jobs.values()):
                if job.expires is not None and job.expires <= now:
                    await self.remove(job.id)
            await asyncio.sleep(1)

    def _check_storage(self, uploads: int) -> None:
        """Raise StorageFullError unless this many uploads of the largest size can still be kept."""
        if self._stored + uploads * self.limits.upload_mib * _MIB > self.limits.storage_mib * _MIB:
            raise StorageFullError

    @property
    def _stored(self) -> int:
        return sum(job.bytes for job in self._jobs.values())

    def _count(self, state: State) -> int:
        return sum(job.state is state for job in self._jobs.values())


class _Rate:
    """Frames per second since the first report, which is that of frame 0."""

    def __init__(self) -> None:
        self._start: float | None = None

    def __call__(self, done: int) -> float | None:
        now = time.monotonic()
        if self._start is None:
            self._start = now
        return round(done / (now - self._start), 2) if now > self._start and done else None


def result_suffix(kind: str) -> str:
    """Return the suffix of a result's file: of a video, or of the zip of a folder."""
    return Path(OUTPUTS[kind].suffix).suffix or ".zip"

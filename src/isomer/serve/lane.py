"""One worker process as the event loop sees it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from isomer.serve.jobs import Job
from isomer.serve.worker import Worker


class Lane:
    """A worker process and the thread that waits for it: one task at a time, in the order they come."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._worker = Worker(environment)
        self._thread = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self._job: Job | None = None

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

        return await loop.run_in_executor(self._thread, work)

    def kill(self, job: Job) -> None:
        """End the task that runs, if it is this job's."""
        with self._lock:  # so that the lane does not move on to another job meanwhile
            if self._job is job:
                self._worker.kill()

    def close(self) -> None:
        """End the process; tasks that wait are not begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._worker.close()

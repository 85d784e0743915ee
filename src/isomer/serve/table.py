"""All jobs of the server, and how they change: every change is kept on the disk, logged and counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from isomer.serve.jobs import Job, JobStore, State
from isomer.serve.metrics import Metrics


class JobTable:
    """Jobs by their ids, in the order they came.

    Args:
        store: keeps their records.
        retention_seconds: how long a job is kept once its state is final.

    Attributes:
        metrics: of the server; changes of jobs are counted here.
    """

    def __init__(self, store: JobStore, retention_seconds: float) -> None:
        self.metrics = Metrics(
            lambda: self.count(State.queued), lambda: self.count(State.running), lambda: self.stored_bytes
        )
        self._store = store
        self._retention_seconds = retention_seconds
        self._jobs: dict[str, Job] = {}

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs.values()))

    def __contains__(self, job: Job) -> bool:
        return job.id in self._jobs

    @property
    def stored_bytes(self) -> int:
        """Size of the files of all jobs."""
        return sum(job.bytes for job in self._jobs.values())

    def count(self, state: State) -> int:
        """Return how many jobs are in a state."""
        return sum(job.state is state for job in self._jobs.values())

    def get(self, identifier: str) -> Job | None:
        """Return the job of this id as it stands, or None."""
        job = self._jobs.get(identifier)
        if job is None or job.state is not State.queued:
            return job
        queued = [other.id for other in self._jobs.values() if other.state is State.queued]
        return replace(job, position=queued.index(job.id) + 1)

    def add(self, job: Job) -> None:
        """Take up a job as it stands in its record."""
        self._jobs[job.id] = job

    def pop(self, identifier: str) -> Job | None:
        """Forget a job and return it; None where there is none of this id."""
        return self._jobs.pop(identifier, None)

    def enqueue(self, job: Job) -> None:
        """Let a job wait."""
        job.state = State.queued
        self._store.save(job)
        self._jobs[job.id] = job

    def begin(self, job: Job) -> None:
        """Say that a job is segmented from now on."""
        job.state, job.attempts, job.started = State.running, job.attempts + 1, time.time()
        job.frames_done = 0
        self._store.save(job)
        self.metrics.waiting.observe(job.started - job.created)

    def advance(self, job: Job, done: int, total: int | None, rate: float | None) -> None:
        """Say how many frames of a job are done, of how many, and how fast; a record is not worth it."""
        self.metrics.frames.inc(done - job.frames_done)
        job.frames_done, job.frames_total, job.frames_per_second = done, total, rate

    def finish(self, job: Job, state: State, error: str | None = None) -> None:
        """Say how a job ended; of one that was removed, which is why it ended, nothing is said."""
        if job not in self:
            return
        self.end(job, state, error)
        self._store.save(job)
        self.metrics.jobs.labels(state.value).inc()
        if job.started is not None and job.finished is not None and state is State.done:
            self.metrics.running.observe(job.finished - job.started)

    def end(self, job: Job, state: State, error: str | None) -> None:
        """Say how a job ended, where not even that can be kept, as on a full disk."""
        job.state, job.error, job.finished = state, error, time.time()
        job.expires = job.finished + self._retention_seconds

"""What Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Metrics:
    """Counters of one server.

    Args:
        queued: says how many jobs wait.
        running: says how many are segmented now.
        stored: says the bytes of all jobs' files.
    """

    def __init__(self, queued: Callable[[], float], running: Callable[[], float], stored: Callable[[], float]) -> None:
        self._registry = registry = CollectorRegistry()
        for name, meaning, function in (
            ("isomer_jobs_queued", "Jobs that wait", queued),
            ("isomer_jobs_running", "Jobs that are segmented now", running),
            ("isomer_stored_bytes", "Size of the files of all jobs", stored),
        ):
            Gauge(name, meaning, registry=registry).set_function(function)
        self.jobs = Counter("isomer_jobs", "Jobs that ended, by state", ["state"], registry=registry)
        self.frames = Counter("isomer_frames", "Frames segmented", registry=registry)
        self.results = Counter("isomer_results", "Results written, by kind", ["kind"], registry=registry)
        self.upload_bytes = Counter("isomer_upload_bytes", "Bytes of accepted uploads", registry=registry)
        self._requests = Counter(
            "isomer_http_requests",
            "Answers, by route and status",
            ["method", "route", "status"],
            registry=registry,
        )
        self.waiting = Histogram(
            "isomer_job_waiting_seconds", "From upload to start", buckets=_SECONDS, registry=registry
        )
        self.running = Histogram("isomer_job_running_seconds", "From start to end", buckets=_SECONDS, registry=registry)

    def count_answer(self, method: str, route: str, status: int) -> None:
        """Count an answer; methods are the client's words, of which only the known ones become labels."""
        self._requests.labels(method if method in _METHODS else "other", route, status).inc()

    def text(self) -> bytes:
        """Return all in the text format of Prometheus."""
        return generate_latest(self._registry)

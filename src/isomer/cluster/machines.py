"""What the workers of a batch run on: Ray, started on this machine or joined on a cluster."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from isomer.errors import ArgumentError, InputError
from isomer.options import OptionGroup, option

_OBJECT_STORE = 80 * 2**20  # bytes: next to the least Ray accepts, because paths and counts is all that is sent


@dataclass(frozen=True)
class Resources(OptionGroup):
    """What the workers run on."""

    address: str | None = option(
        None, "of a Ray cluster, such as auto or ray://HOST:10001; without it, this machine alone", kind=str
    )
    workers: int | None = option(None, "workers, without it as many as there is room for", kind=int, low=1)
    cpus: int = option(2, "cores a worker, which reads, finds the flow and segments at the same time", low=1)
    retries: int = option(2, "begin a video again whose worker died, this often", low=0)


def import_ray(resources: Resources) -> None:
    """Import Ray, which reads its environment at once, such that it tells nobody and obeys nobody else."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if resources.address is None and "ray" not in sys.modules:
        # It listens on every interface and runs what it is sent: let it ask for a token that only we know.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray  # noqa: F401


@contextmanager
def ray_running(resources: Resources) -> Iterator[None]:
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
        with _own_signals():
            ray.init(**options, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:  # Ray raises bare ones
        problem = f"Ray cannot be started or reached ({first_line(error)})"
        if resources.address is None:
            raise InputError(problem) from error
        raise ArgumentError("address", resources.address, problem) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the process's answer to SIGTERM, in whose place Ray puts an exit with the code 15."""
    answer = signal.getsignal(signal.SIGTERM)
    arrived = False
    try:
        yield
    except SystemExit:  # by Ray's answer
        arrived = True
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, answer)
    if arrived:
        signal.raise_signal(signal.SIGTERM)


def _check_reachable(address: str) -> None:
    """Raise OSError where nothing listens at an address: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def room(resources: Resources, device: str) -> tuple[int, int]:
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
        free = f"{there.get('CPU', 0):g} cores and {there.get('GPU', 0):g} GPUs"
        raise ArgumentError("cpus", resources.cpus, f"no room for a worker on the device {device}; there are {free}")
    return gpus, min(most, resources.workers or most)


def cores() -> list[int]:
    """Return the numbers of this machine's cores that we may use, where the system tells them."""
    return sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []


def first_line(error: Exception) -> str:
    """Return what an error says that fits a message."""
    return (str(error) or type(error).__name__).splitlines()[0]

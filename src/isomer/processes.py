"""Pools of worker processes for work on images."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import cv2

from isomer.errors import ArgumentError


@contextmanager
def process_pool(workers: int, name: str) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool whose processes run OpenCV on one thread; on an error, what waits is not begun.

    Args:
        workers: number of processes.
        name: of the argument that is their number, for the message.

    Raises:
        InputError: a process was killed.
    """
    # Spawned, because OpenCV's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_start) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise ArgumentError(name, workers, "a worker process was killed, perhaps for memory; use fewer") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start() -> None:
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once and without a traceback

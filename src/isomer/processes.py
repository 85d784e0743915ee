"""Worker processes: pools of them for work on images, and their end with their parent's."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection

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
    theirs, ours = context.Pipe(duplex=False)
    with theirs, ours, ProcessPoolExecutor(workers, context, initializer=_start, initargs=(theirs,)) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise ArgumentError(name, workers, "a worker process was killed, perhaps for memory; use fewer") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def end_with(parent: Connection) -> None:
    """Let this worker process end as soon as the other end of a pipe is closed, as that of a dead process is."""

    def follow() -> None:
        parent.poll(None)
        os._exit(0)

    threading.Thread(target=follow, daemon=True).start()


def _start(parent: Connection) -> None:
    end_with(parent)
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it at once and without a traceback

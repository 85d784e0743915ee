"""Worker processes: pools of them for work on images, and their end with their parent's."""

from __future__ import annotations

import _thread
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import NoReturn

import cv2

from isomer.errors import ArgumentError

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_GRACE = 2.0
"""Seconds in which a worker removes what is half-written."""


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
        except (BrokenProcessPool, SystemExit) as error:
            raise ArgumentError(name, workers, "a worker process was killed, perhaps for memory; use fewer") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            ours.close()  # so that nobody waits for what the workers are at
            raise


def end_with(parent: Connection, grace: float = 0) -> None:
    """Let this worker process end as soon as the other end of a pipe is closed, as that of a dead process is.

    Args:
        parent: this end of the pipe.
        grace: seconds for which it may tidy up first, told by SIGTERM.
    """

    def follow() -> None:
        parent.poll(None)
        if grace:
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            else:  # which wakes nobody who waits
                _thread.interrupt_main(signal.SIGTERM)
            time.sleep(grace)
        os._exit(0)

    threading.Thread(target=follow, daemon=True).start()


def _start(parent: Connection) -> None:
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _end)
    end_with(parent, _GRACE)
    cv2.setNumThreads(1)


def _end(*_: object) -> NoReturn:
    """Unwind, so that nothing half-written is left; a pool hands this on as the result of what was done."""
    for number in _SIGNALS:  # further ones disturb no tidying up
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(1)

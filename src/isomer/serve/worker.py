"""A process that works through tasks one by one, and may die without harm."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from isomer.errors import InputError
from isomer.serve.storage import full_disk_said


class WorkerDiedError(RuntimeError):
    """The process ended in the middle of a task: it was killed, ran out of memory, or a codec crashed it."""


class TaskTimeoutError(RuntimeError):
    """The task took longer than it may."""


class TaskFailedError(RuntimeError):
    """The task raised what it should not; the message is the traceback, for the operator."""


class Worker:
    """Runs tasks in a process of its own, started at the first and again after a death.

    `run` is called from one thread at a time, `kill` and `close` from any.

    Args:
        environment: variables of the process.
    """

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self._environment = environment or {}
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def run(
        self,
        task: Callable[..., Any],
        *arguments: object,
        seconds: float,
        report: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> Any:
        """Return what `task(*arguments, report)` returns in the process; both ways all must pickle.

        Args:
            task: a function of a module.
            arguments: of the task.
            seconds: the task may take; after that its process is killed.
            report: is called here with what the task reports.

        Raises:
            InputError: the task raised it.
            TaskFailedError: the task raised anything else.
            TaskTimeoutError: it took too long.
            WorkerDiedError: its process died.
        """
        process, connection = self._started()
        deadline = time.monotonic() + seconds
        try:
            connection.send((task, arguments))
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    self.kill()
                    raise TaskTimeoutError(f"took longer than {seconds:g} s")
                # The sentinel alone would not do: what was sent before a death is still read.
                if connection not in wait([connection, process.sentinel], timeout=left):
                    if process.is_alive():
                        continue
                    raise EOFError
                kind, *content = connection.recv()
                if kind == "progress":
                    report(*content)
                elif kind == "result":
                    return content[0]
                elif kind == "refused":
                    raise content[0]
                else:
                    raise TaskFailedError(content[0])
        except (EOFError, OSError) as error:
            self.kill()
            raise WorkerDiedError(f"the worker process died (exit code {process.exitcode})") from error

    def kill(self) -> None:
        """End the process at once, and with it the task it is at."""
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.join()

    def close(self) -> None:
        """End the process for good."""
        self._is_closed = True
        self.kill()

    def _started(self) -> tuple[multiprocessing.process.BaseProcess, Connection]:
        with self._lock:
            if self._is_closed:
                raise WorkerDiedError("the server stops")
            if self._process is None or self._connection is None or not self._process.is_alive():
                if self._connection is not None:
                    self._connection.close()
                context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
                self._connection, theirs = context.Pipe()
                self._process = context.Process(target=_work, args=(theirs, self._environment), daemon=True)
                self._process.start()
                theirs.close()  # so that its end is noticed here
            return self._process, self._connection


def _work(connection: Connection, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends this process

    def report(done: int, total: int | None) -> None:
        connection.send(("progress", done, total))

    with suppress(EOFError, BrokenPipeError):  # the server has gone
        while True:
            task, arguments = connection.recv()
            try:
                with full_disk_said():
                    answer = ("result", task(*arguments, report))
            except InputError as error:
                answer = ("refused", error)
            except BrokenPipeError:
                raise
            except Exception:
                answer = ("failed", traceback.format_exc())
            connection.send(answer)

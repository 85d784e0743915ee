"""The signals by which a system ends a command: a way out like Ctrl-C's, on which nothing half-written is left."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Ending:
    """A context in which the first SIGTERM or SIGHUP raises KeyboardInterrupt, as Ctrl-C does.

    Later ones, which schedulers send, disturb no tidying up. A signal that is ignored (nohup) or answered by someone
    else stays so.

    Attributes:
        signal: the one of a KeyboardInterrupt; not in the exception itself, for which Ray raises another.
    """

    def __init__(self) -> None:
        self.signal = signal.SIGINT
        self._taken: list[signal.Signals] = []

    def __enter__(self) -> Ending:
        if threading.current_thread() is threading.main_thread():  # only that one may answer signals
            self._taken = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
        for number in self._taken:
            signal.signal(number, self._end)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._taken:
            signal.signal(number, signal.SIG_DFL)

    def _end(self, number: int, frame: FrameType | None) -> None:
        for taken in self._taken:
            signal.signal(taken, signal.SIG_IGN)
        self.signal = signal.Signals(number)
        raise KeyboardInterrupt

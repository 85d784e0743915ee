"""Ctrl-C, a scheduler's SIGTERM and a closed terminal as a request that the loop answers between two steps."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType

# Windows knows no SIGHUP.
STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that ask to stop."""


class StopRequest:
    """A context in which the first of `STOPS` is noted; after it, signals act as before. Ignored ones (nohup) stay so.

    Attributes:
        made: whether one arrived.
    """

    def __init__(self) -> None:
        self.made = False

    def __enter__(self) -> StopRequest:
        heeded = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.made = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

"""Ctrl-C and a scheduler's SIGTERM as a request that the loop answers between two steps."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType


class StopRequest:
    """A context in which the first SIGINT or SIGTERM is noted; after it, signals act as before.

    Attributes:
        made: whether one arrived.
    """

    def __init__(self) -> None:
        self.made = False

    def __enter__(self) -> StopRequest:
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
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

"""How far long work is, on standard error: a bar on a terminal, and where it goes into a file a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

_SECONDS = 10
"""From a line to the next."""


class Progress:
    """A context manager around the work.

    Args:
        total: steps of the work; None where nobody knows.
        unit: what a step is called.
        shown: say anything at all.
    """

    def __init__(self, total: int | None, unit: str, *, shown: bool = True) -> None:
        is_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._bar = tqdm(total=total, unit=unit, disable=not (shown and is_terminal), leave=False)
        self._has_lines = shown and not is_terminal
        self._unit = unit
        self._total = total
        self._done = 0
        self._start = self._said = time.monotonic()

    def step(self) -> None:
        """Take note of one more step."""
        self._bar.update()
        self._done += 1
        now = time.monotonic()
        if self._has_lines and now - self._said >= _SECONDS:
            self._said = now
            total = "" if self._total is None else f" of {self._total}"
            rate = self._done / (now - self._start)
            self.write(f"{self._done}{total} {self._unit}s, {rate:.1f} {self._unit}s/s")

    def write(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if sys.stderr is not None:
            self._bar.write(f"isomer: {line}", file=sys.stderr)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

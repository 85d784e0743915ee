"""Keep freed memory: a training step allocates the same sizes again, and fresh pages are slow."""

from __future__ import annotations

import ctypes
import sys

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Tell glibc not to hand freed memory back to the system; elsewhere this does nothing.

    By default each large tensor is mapped anew and its pages are zeroed at first touch, which on one CPU
    thread costs as much as the arithmetic. It holds for the whole process and cannot be taken back, so it is for
    a program to decide, never for a library.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
    mallopt(_TOP_PAD, 256 * 2**20)

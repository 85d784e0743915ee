"""The process's one OpenVINO."""

from __future__ import annotations

from functools import cache

import openvino as ov


@cache
def core() -> ov.Core:
    """Return it.

    Where two are ended, the thread that compiled in both keeps a signal stack that is no longer there, and the next
    Ctrl-C is a segmentation fault (OpenVINO 2026.4).
    """
    return ov.Core()

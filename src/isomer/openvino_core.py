"""The process's one OpenVINO, which reports to nobody: the rest of Isomer takes `ov` from here."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

# On import OpenVINO reports its use to its makers, unless the package that does so cannot be imported.
_modules: dict[str, Any] = sys.modules
_modules.setdefault("openvino_telemetry", None)
import openvino as ov  # noqa: E402

if _modules["openvino_telemetry"] is None:
    del _modules["openvino_telemetry"]

__all__ = ["core", "ov"]


@cache
def core() -> ov.Core:
    """Return it.

    Where two are ended, the thread that compiled in both keeps a signal stack that is no longer there, and the next
    Ctrl-C is a segmentation fault (OpenVINO 2026.4).
    """
    return ov.Core()

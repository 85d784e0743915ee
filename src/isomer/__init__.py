"""Isomer: zero-shot video object segmentation.

Nothing but the names below is promised. They are imported when first used, so that `import isomer` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isomer.evaluate import evaluate_vsod, evaluate_zvos
    from isomer.flow import FlowEstimator
    from isomer.media import Segmented
    from isomer.model.checkpoint import load_checkpoint
    from isomer.model.zoo import create_model, list_models
    from isomer.segment import Segmenter, segment_video

__version__ = "0.2.0"

__all__ = [
    "FlowEstimator",
    "Segmented",
    "Segmenter",
    "__version__",
    "create_model",
    "evaluate_vsod",
    "evaluate_zvos",
    "list_models",
    "load_checkpoint",
    "segment_video",
]

_HOMES = {
    "FlowEstimator": "isomer.flow",
    "Segmented": "isomer.media",
    "Segmenter": "isomer.segment",
    "create_model": "isomer.model.zoo",
    "evaluate_vsod": "isomer.evaluate",
    "evaluate_zvos": "isomer.evaluate",
    "list_models": "isomer.model.zoo",
    "load_checkpoint": "isomer.model.checkpoint",
    "segment_video": "isomer.segment",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'isomer' has no attribute {name!r}")
    if name == "load_checkpoint":  # the one name whose import alone needs PyTorch
        from isomer.errors import require

        require("isomer.load_checkpoint", "torch", "torch", "safetensors")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

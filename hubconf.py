"""Entry points of `torch.hub.load`, which fetches this repository instead of an installed package.

It finds them by their names here, so there is a function for each of `isomer.list_models`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

# The hub puts the root of the repository there, and the package is in src. It stays: entries import when they are used.
sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

if TYPE_CHECKING:
    from isomer.model.network import Isomer
    from isomer.segment import Segmenter

dependencies = ["torch", "numpy", "cv2", "av", "safetensors", "tqdm"]


def isomer_mobilenet_v2(pretrained: bool = True) -> Isomer:
    """Isomer with two MobileNetV2 encoders: a frame and its flow image in, logits out."""
    return _model("isomer_mobilenet_v2", pretrained)


def isomer_efficientnet_lite0(pretrained: bool = True) -> Isomer:
    """Isomer with two EfficientNet-Lite0 encoders."""
    return _model("isomer_efficientnet_lite0", pretrained)


def isomer_efficientnet_lite2(pretrained: bool = True) -> Isomer:
    """Isomer with two EfficientNet-Lite2 encoders."""
    return _model("isomer_efficientnet_lite2", pretrained)


def isomer_mit_b0(pretrained: bool = True) -> Isomer:
    """Isomer with two MiT-B0 encoders."""
    return _model("isomer_mit_b0", pretrained)


def isomer_swin_tiny(pretrained: bool = True) -> Isomer:
    """Isomer with two Swin-T encoders."""
    return _model("isomer_swin_tiny", pretrained)


def segmenter(*arguments: Any, **keywords: Any) -> Segmenter:
    """The whole path, `isomer.Segmenter`: RGB frames in, each out with what was found in it."""
    import isomer

    return isomer.Segmenter(*arguments, **keywords)


def _model(name: str, pretrained: bool) -> Isomer:
    import isomer

    return isomer.create_model(name, pretrained=pretrained)

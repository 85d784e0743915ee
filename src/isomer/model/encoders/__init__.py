"""Image encoders by name: four maps at strides 4, 8, 16 and 32."""

from __future__ import annotations

from isomer.model.encoders.efficientnet import EfficientNetLite0, EfficientNetLite2
from isomer.model.encoders.encoder import Encoder
from isomer.model.encoders.mit import MiTB0
from isomer.model.encoders.mobilenet import MobileNetV2
from isomer.model.encoders.swin import SwinTiny

ENCODERS: dict[str, type[Encoder]] = {
    "mobilenet_v2": MobileNetV2,
    "efficientnet_lite0": EfficientNetLite0,
    "efficientnet_lite2": EfficientNetLite2,
    "mit_b0": MiTB0,
    "swin_tiny": SwinTiny,
}

__all__ = ["ENCODERS", "Encoder"]

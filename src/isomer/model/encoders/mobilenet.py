"""MobileNetV2 (Sandler et al., CVPR 2018)."""

from __future__ import annotations

from isomer.model.encoders.inverted import Group, InvertedResiduals


class MobileNetV2(InvertedResiduals):
    """Four maps of a MobileNetV2 1.0: 24, 32, 96 and 320 channels at strides 4, 8, 16 and 32."""

    channels = (24, 32, 96, 320)
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)
    groups = (
        Group(24, 3, 2, 2),
        Group(32, 3, 2, 3),
        Group(64, 3, 2, 4),
        Group(96, 3, 1, 3),
        Group(160, 3, 2, 3),
        Group(320, 3, 1, 1),
    )

"""Image encoders by name: four maps at strides 4, 8, 16 and 32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from isomer.model.encoders.mit import MiTB0
from isomer.model.encoders.mobilenet import MobileNetV2
from isomer.model.encoders.swin import SwinTiny

Pyramid = tuple[Tensor, Tensor, Tensor, Tensor]


class Encoder(Protocol):
    """What the network asks of an encoder.

    Attributes:
        channels: channels of the four maps.
        stride: height and width of the input are multiples of it.
        mean, std: per-channel normalisation of RGB in [0, 1].
    """

    channels: tuple[int, int, int, int]
    stride: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, image: Tensor) -> Pyramid:
        """Encode a normalised image [B, 3, H, W] into maps [B, C_i, H / s_i, W / s_i], s = 4, 8, 16, 32."""
        ...


ENCODERS: dict[str, Callable[[], MiTB0 | MobileNetV2 | SwinTiny]] = {
    "mobilenet_v2": MobileNetV2,
    "mit_b0": MiTB0,
    "swin_tiny": SwinTiny,
}

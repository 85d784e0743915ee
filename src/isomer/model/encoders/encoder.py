"""What the network asks of an image encoder."""

from __future__ import annotations

from typing import ClassVar

from torch import nn


class Encoder(nn.Module):
    """Encodes a normalised image [B, 3, H, W] into four maps [B, C_i, H / s_i, W / s_i], s = 4, 8, 16, 32.

    Attributes:
        channels: C_i of the four maps.
        stride: the height and width of the input are multiples of it.
        mean, std: normalisation of the input, per channel of RGB in [0, 1].
    """

    channels: ClassVar[tuple[int, int, int, int]]
    stride: ClassVar[int] = 32
    mean: ClassVar[tuple[float, float, float]]
    std: ClassVar[tuple[float, float, float]]

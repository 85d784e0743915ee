"""What the network asks of an image encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn

# What an ImageNet classifier has after the last stage.
_CLASSIFIER = ("head.", "norm.", "classifier.")


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

    def imagenet_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn the tensors of an ImageNet classifier, as its authors name them, into those of this encoder.

        What the file lacks is missing in the result, and what is not understood stays in it under its name.
        """
        return {name: tensor for name, tensor in state.items() if not name.startswith(_CLASSIFIER)}

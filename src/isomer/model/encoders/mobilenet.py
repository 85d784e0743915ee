"""MobileNetV2 (Sandler et al., CVPR 2018) with its batch norms folded into the convolutions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from isomer.model.encoders.encoder import Encoder
from isomer.model.hidden import HiddenBlock

_EXPANSION = 6
_GROUPS = (  # channels, stride of the first block, blocks
    (24, 2, 2),
    (32, 2, 3),
    (64, 2, 4),
    (96, 1, 3),
    (160, 2, 3),
    (320, 1, 1),
)
_OUTPUT_BLOCKS = (2, 5, 12, 16)  # the last block at strides 4, 8, 16 and 32


class _Conv(nn.Conv2d):
    """A 3x3 or 1x1 convolution with TensorFlow's "SAME" padding on even sizes.

    At stride 2 the one row and column of padding go to the bottom and the right; symmetric padding would
    shift every feature by half a cell against the trained weights.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        same = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding=same, groups=groups)
        nn.init.kaiming_normal_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride[0] == 2:
            x = F.pad(x, (0, 1, 0, 1))
        return super().forward(x)


class _Separable(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.depthwise = _Conv(inputs, inputs, 3, groups=inputs)
        self.project = _Conv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.project(F.relu6(self.depthwise(x)))
        return z


class _InvertedResidual(HiddenBlock):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        hidden = _EXPANSION * inputs
        self.expand = _Conv(inputs, hidden)
        self.depthwise = _Conv(hidden, hidden, 3, stride, groups=hidden)
        self.project = _Conv(hidden, outputs)
        self.residual = stride == 1 and inputs == outputs

    def hidden(self, x: Tensor) -> Tensor:
        return F.relu6(self.depthwise(F.relu6(self.expand(x))))

    def hidden_layers(self) -> tuple[_Conv, _Conv, _Conv]:
        return self.expand, self.depthwise, self.project

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.project(self.hidden(x))  # linear, or narrow maps would lose information
        return x + z if self.residual else z


class MobileNetV2(Encoder):
    """Four maps of a MobileNetV2 1.0: 24, 32, 96 and 320 channels at strides 4, 8, 16 and 32."""

    channels = (24, 32, 96, 320)
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(3, 32, 3, 2)
        blocks: list[nn.Module] = [_Separable(32, 16)]
        inputs = 16
        for outputs, first_stride, repeats in _GROUPS:
            for i in range(repeats):
                blocks.append(_InvertedResidual(inputs, outputs, first_stride if i == 0 else 1))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Encode [B, 3, H, W], normalised to [-1, 1], H and W multiples of 32."""
        x = F.relu6(self.stem(image))
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _OUTPUT_BLOCKS:
                maps.append(x)
        c1, c2, c3, c4 = maps
        return c1, c2, c3, c4

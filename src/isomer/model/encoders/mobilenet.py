"""MobileNetV2 (Sandler et al., CVPR 2018) with its batch norms folded into the convolutions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from isomer.model.encoders.encoder import Encoder

_GROUPS = (  # expansion, channels, stride of the first block, blocks
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 2, 3),
    (6, 64, 2, 4),
    (6, 96, 1, 3),
    (6, 160, 2, 3),
    (6, 320, 1, 1),
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


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        self.expand = _Conv(inputs, hidden) if expansion > 1 else None
        self.depthwise = _Conv(hidden, hidden, 3, stride, groups=hidden)
        self.project = _Conv(hidden, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = x if self.expand is None else F.relu6(self.expand(x))
        z = self.project(F.relu6(self.depthwise(z)))  # linear, or narrow maps would lose information
        return x + z if self.residual else z


class MobileNetV2(Encoder):
    """Four maps of a MobileNetV2 1.0: 24, 32, 96 and 320 channels at strides 4, 8, 16 and 32."""

    channels = (24, 32, 96, 320)
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Conv(3, 32, 3, 2)
        blocks = []
        inputs = 32
        for expansion, outputs, first_stride, repeats in _GROUPS:
            for i in range(repeats):
                blocks.append(_InvertedResidual(inputs, outputs, first_stride if i == 0 else 1, expansion))
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

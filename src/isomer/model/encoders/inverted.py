"""Encoders of inverted residuals (Sandler et al., CVPR 2018) whose batch norms are folded into the convolutions."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isomer.model.encoders.depthwise import DepthwiseConv2d
from isomer.model.encoders.encoder import Encoder
from isomer.model.hidden import HiddenBlock

_EXPANSION = 6


class SameConv(nn.Conv2d):
    """A convolution of odd kernel with TensorFlow's "SAME" padding on even sizes.

    At stride 2 the padding is a row and a column more at the bottom and the right; symmetric padding would shift
    every feature by half a cell against the trained weights.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1):
        same = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding=same, groups=groups)
        nn.init.kaiming_normal_(self.weight)
        assert self.bias is not None
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve [B, C, H, W]; at stride 2 H and W are even."""
        if self.stride[0] == 2:
            after = self.kernel_size[0] // 2
            x = F.pad(x, (after - 1, after, after - 1, after))
        if self._is_slow_to_train(x):
            return cast("Tensor", DepthwiseConv2d.apply(x, self.weight, self.bias))  # type: ignore[no-untyped-call]
        return super().forward(x)

    def _is_slow_to_train(self, x: Tensor) -> bool:
        large = self.groups == self.out_channels > 1 and self.kernel_size[0] > 3 and self.stride[0] == 1
        trained = self.training and torch.is_grad_enabled() and self.weight.requires_grad
        return large and trained and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


class _Separable(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.depthwise = SameConv(inputs, inputs, 3, groups=inputs)
        self.project = SameConv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.project(F.relu6(self.depthwise(x)))
        return z


class _InvertedResidual(HiddenBlock):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int):
        super().__init__()
        hidden = _EXPANSION * inputs
        self.expand = SameConv(inputs, hidden)
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SameConv(hidden, outputs)
        self.residual = stride == 1 and inputs == outputs

    def hidden(self, x: Tensor) -> Tensor:
        return F.relu6(self.depthwise(F.relu6(self.expand(x))))

    def hidden_layers(self) -> tuple[SameConv, SameConv, SameConv]:
        return self.expand, self.depthwise, self.project

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.project(self.hidden(x))  # linear, or narrow maps would lose information
        return x + z if self.residual else z


class Group(NamedTuple):
    """Blocks of as many channels, one after the other.

    Args:
        channels: of their outputs.
        kernel: side of the depthwise convolutions.
        stride: of the first block.
        blocks: how many.
    """

    channels: int
    kernel: int
    stride: int
    blocks: int


class InvertedResiduals(Encoder):
    """A stem, a separable convolution and groups of inverted residuals; the last maps of strides 4, 8, 16 and 32.

    Attributes:
        groups: what the subclass is made of, from stride 2 on.
    """

    groups: ClassVar[tuple[Group, ...]]

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks: list[nn.Module] = [_Separable(32, 16)]
        inputs = 16
        ends = []  # the last block of each stride
        for group in self.groups:
            if group.stride == 2:
                ends.append(len(blocks) - 1)
            for i in range(group.blocks):
                blocks.append(_InvertedResidual(inputs, group.channels, group.kernel, group.stride if i == 0 else 1))
                inputs = group.channels
        self.blocks = nn.ModuleList(blocks)
        self._outputs = (*ends[1:], len(blocks) - 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Encode [B, 3, H, W], normalised, H and W multiples of 32."""
        x = F.relu6(self.stem(image))
        maps = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self._outputs:
                maps.append(x)
        c1, c2, c3, c4 = maps
        return c1, c2, c3, c4

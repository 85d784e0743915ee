"""SegFormer's all-MLP head (Xie et al., NeurIPS 2021), with two 2x upsamplings to the input's size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _Linear(nn.Module):
    """A linear layer over the channels of a map [B, C, H, W]."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.proj = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.proj.weight[:, :, None, None], self.proj.bias)


class _ConvNormReLU(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


class Head(nn.Module):
    """Merge four maps at strides 4, 8, 16 and 32 into one logit map at stride 1."""

    def __init__(self, channels: tuple[int, int, int, int], width: int):
        super().__init__()
        self.linear_c1 = _Linear(channels[0], width)
        self.linear_c2 = _Linear(channels[1], width)
        self.linear_c3 = _Linear(channels[2], width)
        self.linear_c4 = _Linear(channels[3], width)
        self.linear_fuse = _ConvNormReLU(4 * width, width, 1)
        self.linear_project = _ConvNormReLU(width, width // 4, 3)
        self.linear_saliency_pred = nn.Conv2d(width // 4, 1, 1)

    def forward(self, c1: Tensor, c2: Tensor, c3: Tensor, c4: Tensor) -> Tensor:
        height, width = c1.shape[2:]
        maps = [self.linear_c4(c4), self.linear_c3(c3), self.linear_c2(c2)]
        maps = [_resize(m, (height, width)) for m in maps]
        x = self.linear_fuse(torch.cat([*maps, self.linear_c1(c1)], 1))
        x = self.linear_project(_resize(x, (2 * height, 2 * width)))
        return _resize(self.linear_saliency_pred(x), (4 * height, 4 * width))

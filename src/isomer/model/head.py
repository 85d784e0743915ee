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

    def forward(self, x: Tensor, kernel: Tensor) -> Tensor:
        """Project x [B, C, H, W], then by the 1x1 `kernel` [O, outputs]: [B, O, H, W]."""
        return F.conv2d(x, (kernel @ self.proj.weight)[:, :, None, None], kernel @ self.proj.bias)


class _ConvNormReLU(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def _enlarge(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _double(x: Tensor) -> Tensor:
    """Enlarge one channel [B, 1, H, W] twice, bilinearly: each pixel becomes four, weighted 9:3:3:1 with neighbours.

    The same numbers as `_enlarge(x, 2)`, which inference engines do by one pixel at a time where there is one channel.
    """
    corner = x.new_tensor([[1, 3, 0], [3, 9, 0], [0, 0, 0]]) / 16
    corners = torch.stack([corner, corner.flip(1), corner.flip(0), corner.flip(0, 1)])[:, None]
    return F.pixel_shuffle(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), corners), 2)


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
        """Return logits [B, 1, H, W] from maps [B, C_i, H / s_i, W / s_i], s = 4, 8, 16, 32."""
        # A 1x1 convolution commutes with enlarging and merges with the projection before it, so the one of
        # linear_fuse is done map by map at their own sizes: no map of 4 x width channels is ever made.
        k4, k3, k2, k1 = self.linear_fuse.conv.weight.flatten(1).chunk(4, 1)
        x = (
            _enlarge(self.linear_c4(c4, k4), 8)
            + _enlarge(self.linear_c3(c3, k3), 4)
            + _enlarge(self.linear_c2(c2, k2), 2)
            + self.linear_c1(c1, k1)
        )
        x = F.relu(self.linear_fuse.bn(x))
        x = self.linear_project(_enlarge(x, 2))
        return _double(self.linear_saliency_pred(x))

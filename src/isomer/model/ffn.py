"""The feed-forward block that every fusion of the paper ends with."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class _DepthwiseConv(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        batch, _, channels = tokens.shape
        x: Tensor = self.dwconv(tokens.transpose(1, 2).view(batch, channels, height, width))
        return x.flatten(2).transpose(1, 2)


class FeedForward(nn.Module):
    """norm(z + linear2(relu(dwconv(linear1(z))))) on a map [B, C, H, W] (SegFormer's Mix-FFN, post-norm)."""

    def __init__(self, channels: int, expansion: int = 8):
        super().__init__()
        hidden = channels * expansion
        self.linear1 = nn.Linear(channels, hidden)
        self.dwconv = _DepthwiseConv(hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, z: Tensor) -> Tensor:
        """Transform [B, C, H, W]."""
        tokens = z.flatten(2).transpose(1, 2)  # [B, HW, C]
        hidden = F.relu(self.dwconv(self.linear1(tokens), *z.shape[2:]))
        normed: Tensor = self.norm(tokens + self.linear2(hidden))
        return normed.transpose(1, 2).view(z.shape)

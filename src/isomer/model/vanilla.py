"""The vanilla Transformer fusion that the paper compares with: every pixel attends to every pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from isomer.model.attention import AttentionLayer
from isomer.model.ffn import FeedForward


class Vanilla(nn.Module):
    """Fuse appearance x and motion y, both [B, C, H, W], by self-attention quadratic in the pixels."""

    def __init__(self, channels: int, heads: int = 8):
        super().__init__()
        self.attention = AttentionLayer(channels, heads)
        self.ffn = FeedForward(channels)
        self.project = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, None]:
        """Return the fused map [B, C, H, W] and None: there is no heat map."""
        z = self.project(torch.cat([x, y], 1))
        z = self.attention(z, z.flatten(2).transpose(1, 2))
        return self.ffn(z), None

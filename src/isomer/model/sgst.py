"""Semantic Gathering-Scattering Transformer, the fusion of the two high-level stages (Isomer, ICCV 2023)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from isomer.model.attention import AttentionLayer
from isomer.model.ffn import FeedForward


class _HeatMap(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.sal_conv = nn.Conv2d(channels, 1, 1)

    def forward(self, z: Tensor) -> Tensor:
        logits: Tensor = self.sal_conv(z)
        return logits


def _merge(z: Tensor, soft_weights: nn.Conv2d) -> Tensor:
    """Merge the pixels of [B, C, H, W] softly into tokens [B, K, C]."""
    scores: Tensor = soft_weights(z)
    return scores.flatten(2).softmax(-1) @ z.flatten(2).transpose(1, 2)  # [B, K, HW] @ [B, HW, C]


class SGST(nn.Module):
    """Fuse appearance x and motion y, both [B, C, H, W], with foreground and background kept apart.

    A heat map h says what is foreground. Pixels with h >= threshold attend to `tokens` merged foreground
    tokens, those with h < 1 - threshold to as many background ones, each branch with its own attention and
    feed-forward block; the rest stays as it is. The paper gathers each set, transforms it and scatters it
    back. Here both branches run on every pixel and masks select the results: the same numbers (the test's
    oracle is the ragged loop), but batched and without data-dependent shapes.

    Args:
        channels: C.
        tokens: K, the merged keys and values of each branch.
        heads: attention heads.
        threshold: tau in [0.5, 1]; at 0.5 every pixel belongs to one branch.
    """

    def __init__(self, channels: int, tokens: int, heads: int = 8, threshold: float = 0.5):
        super().__init__()
        self.threshold = threshold
        self.generate_heat_map = _HeatMap(channels)
        # Lists of one: the names are those of the published checkpoints.
        self.fg_self_attention_layers = nn.ModuleList([AttentionLayer(channels, heads)])
        self.bg_self_attention_layers = nn.ModuleList([AttentionLayer(channels, heads)])
        self.fg_ffn_layers = nn.ModuleList([FeedForward(channels)])
        self.bg_ffn_layers = nn.ModuleList([FeedForward(channels)])
        self.fg_soft_weights = nn.Conv2d(channels, tokens, 1)
        self.bg_soft_weights = nn.Conv2d(channels, tokens, 1)
        self.project = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the fused map [B, C, H, W] and the heat map's logits [B, 1, H, W]."""
        z = self.project(torch.cat([x, y], 1))
        logits = self.generate_heat_map(z)
        return self.gather_scatter(z, logits.sigmoid()), logits

    def gather_scatter(self, z: Tensor, heat: Tensor) -> Tensor:
        """Transform z [B, C, H, W] by a heat map [B, 1, H, W] in [0, 1]."""
        foreground = heat >= self.threshold
        background = heat < 1 - self.threshold
        fg_tokens = _merge(heat * z, self.fg_soft_weights)
        bg_tokens = _merge((1 - heat) * z, self.bg_soft_weights)

        attended = torch.where(foreground, self.fg_self_attention_layers[0](z, fg_tokens), z)
        fg = self.fg_ffn_layers[0](attended)
        attended = torch.where(background, self.bg_self_attention_layers[0](z, bg_tokens), z)
        bg = self.bg_ffn_layers[0](attended)
        return torch.where(foreground, fg, torch.where(background, bg, z))


class Projection(nn.Module):
    """What the published SGST computes: it drops its branches' results, so only the projection is left."""

    def __init__(self, channels: int):
        super().__init__()
        self.project = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, None]:
        """Return the fused map [B, C, H, W] and None: there is no heat map."""
        return self.project(torch.cat([x, y], 1)), None

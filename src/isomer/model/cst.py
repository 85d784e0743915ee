"""Context-Sharing Transformer, the fusion of the two low-level stages (Isomer, ICCV 2023).

Low-level features of all queries share almost the same global context, so one attention map serves the
whole image and the cost is linear in the number of pixels (GCNet, Cao et al., ICCVW 2019).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from isomer.model.ffn import FeedForward


class ContextSharing(nn.Module):
    """Global context attention: z + transform(sum over pixels of softmax(w z) z)."""

    def __init__(self, channels: int, ratio: int = 16):
        super().__init__()
        hidden = channels * ratio  # the published layout expands where GCNet squeezes
        self.conv_mask = nn.Conv2d(channels, 1, 1)
        self.channel_add_conv = nn.Sequential(
            nn.Conv2d(channels, hidden, 1),
            nn.LayerNorm([hidden, 1, 1]),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Add the context to every pixel of [B, C, H, W]."""
        attention = self.conv_mask(z).flatten(2).softmax(-1)  # [B, 1, HW]
        context = z.flatten(2) @ attention.transpose(1, 2)  # [B, C, 1]
        transformed: Tensor = self.channel_add_conv(context.unsqueeze(-1))
        return z + transformed


class CST(nn.Module):
    """Fuse appearance x and motion y, both [B, C, H, W], into one [B, C, H, W]."""

    def __init__(self, channels: int):
        super().__init__()
        # Lists of one: the names are those of the published checkpoints.
        self.transformer_self_attention_layers = nn.ModuleList([ContextSharing(channels)])
        self.transformer_ffn_layers = nn.ModuleList([FeedForward(channels)])
        self.project = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, None]:
        """Return the fused map [B, C, H, W] and None: there is no heat map."""
        z = self.project(torch.cat([x, y], 1))
        z = self.transformer_self_attention_layers[0](z)
        return self.transformer_ffn_layers[0](z), None

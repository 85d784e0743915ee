"""Multi-head attention from the pixels of a map to a set of tokens."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class AttentionLayer(nn.Module):
    """norm(z + attention(z, tokens)): queries are the pixels of z, keys and values the tokens (post-norm)."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads)  # holds the weights under the published names
        self.norm = nn.LayerNorm(channels)

    def forward(self, z: Tensor, tokens: Tensor) -> Tensor:
        """z: [B, C, H, W]; tokens: [B, K, C]. Returns [B, C, H, W]."""
        queries = z.flatten(2).transpose(1, 2)
        normed: Tensor = self.norm(queries + self._attend(queries, tokens))
        return normed.transpose(1, 2).view(z.shape)

    def _attend(self, queries: Tensor, tokens: Tensor) -> Tensor:
        # nn.MultiheadAttention itself reshapes in a way that torch.export ties to the batch.
        weights, biases = self.self_attn.in_proj_weight.chunk(3), self.self_attn.in_proj_bias.chunk(3)
        q, k, v = (
            self._heads(F.linear(x, weight, bias))
            for x, weight, bias in zip((queries, tokens, tokens), weights, biases, strict=True)
        )
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        projected: Tensor = self.self_attn.out_proj(attended)
        return projected

    def _heads(self, x: Tensor) -> Tensor:
        """Split [B, N, C] into [B, heads, N, C / heads]."""
        batch, count, channels = x.shape
        heads = self.self_attn.num_heads
        return x.view(batch, count, heads, channels // heads).transpose(1, 2)

"""Multi-head attention from the pixels of a map to a set of tokens."""

from __future__ import annotations

from torch import Tensor, nn


class AttentionLayer(nn.Module):
    """norm(z + attention(z, tokens)): queries are the pixels of z, keys and values the tokens (post-norm)."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.norm = nn.LayerNorm(channels)

    def forward(self, z: Tensor, tokens: Tensor) -> Tensor:
        """z: [B, C, H, W]; tokens: [B, K, C]. Returns [B, C, H, W]."""
        queries = z.flatten(2).transpose(1, 2)
        attended, _ = self.self_attn(queries, tokens, tokens, need_weights=False)
        normed: Tensor = self.norm(queries + attended)
        return normed.transpose(1, 2).reshape(z.shape)

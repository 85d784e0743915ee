"""Mix Transformer B0, the encoder of SegFormer.

Xie et al., SegFormer: Simple and Efficient Design for Semantic Segmentation with Transformers, NeurIPS 2021,
arXiv:2105.15203. Tensor names are those of the published ImageNet checkpoint (`mit_b0.pth`).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from isomer.model.encoders.drop_path import DropPath, drop_path_rates
from isomer.model.encoders.encoder import Encoder

_EPS = 1e-6  # blocks and stage outputs; the embedding's and the reduction's norms keep PyTorch's 1e-5


class OverlapPatchEmbed(nn.Module):
    """Strided convolution with overlapping windows, then a norm."""

    def __init__(self, in_channels: int, dim: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to [B, H/s, W/s, D]."""
        embedded: Tensor = self.norm(self.proj(x).permute(0, 2, 3, 1))
        return embedded


class EfficientAttention(nn.Module):
    """Self-attention whose keys and values come from a map `reduction` times smaller a side."""

    def __init__(self, dim: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.reduction = reduction
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        if reduction > 1:
            self.sr = nn.Conv2d(dim, dim, reduction, reduction)
            self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, H, W, C] to the same."""
        batch, height, width, dim = x.shape
        head_dim = dim // self.heads
        source = x
        if self.reduction > 1:
            source = self.norm(self.sr(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        q = self.q(x).reshape(batch, height * width, self.heads, head_dim).transpose(1, 2)
        kv = self.kv(source).reshape(batch, -1, 2, self.heads, head_dim)
        k, v = kv.permute(2, 0, 3, 1, 4).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v)
        projected: Tensor = self.proj(out.transpose(1, 2).reshape(batch, height, width, dim))
        return projected


class MixFFN(nn.Module):
    """Feed-forward network with a 3x3 depthwise convolution in place of positional encoding."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.dwconv = nn.ModuleDict({"dwconv": nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)})
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, H, W, C] to the same."""
        hidden = self.dwconv["dwconv"](self.fc1(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        out: Tensor = self.fc2(F.gelu(hidden))
        return out


class Block(nn.Module):
    """Pre-norm Transformer block."""

    def __init__(self, dim: int, heads: int, reduction: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=_EPS)
        self.attn = EfficientAttention(dim, heads, reduction)
        self.norm2 = nn.LayerNorm(dim, eps=_EPS)
        self.mlp = MixFFN(dim, 4 * dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, H, W, C] to the same."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        out: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return out


class MiTB0(Encoder):
    """Mix Transformer B0: 3.3 M parameters.

    Args:
        drop_path: stochastic depth of the last block, growing linearly from 0; acts in training only.
    """

    channels: ClassVar[tuple[int, int, int, int]] = (32, 64, 160, 256)
    mean: ClassVar[tuple[float, float, float]] = (0.485, 0.456, 0.406)
    std: ClassVar[tuple[float, float, float]] = (0.229, 0.224, 0.225)

    def __init__(self, drop_path: float = 0.1) -> None:
        super().__init__()
        depths, heads, reductions = (2, 2, 2, 2), (1, 2, 5, 8), (8, 4, 2, 1)
        rates = drop_path_rates(depths, drop_path)
        inputs = (3, *self.channels[:3])
        for stage, dim in enumerate(self.channels):
            kernel, stride = (7, 4) if stage == 0 else (3, 2)
            number = stage + 1
            self.add_module(f"patch_embed{number}", OverlapPatchEmbed(inputs[stage], dim, kernel, stride))
            blocks = [Block(dim, heads[stage], reductions[stage], rate) for rate in rates[stage]]
            self.add_module(f"block{number}", nn.ModuleList(blocks))
            self.add_module(f"norm{number}", nn.LayerNorm(dim, eps=_EPS))
        self.apply(_initialise)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Encode a normalised image.

        Args:
            image: float [B, 3, H, W], H and W multiples of 32.

        Returns:
            Float maps [B, C, H/s, W/s] at the strides s = 4, 8, 16, 32, with C from `channels`.
        """
        maps = []
        x = image
        for number in (1, 2, 3, 4):
            x = self.get_submodule(f"patch_embed{number}")(x)
            for block in self.get_submodule(f"block{number}").children():
                x = block(x)
            x = self.get_submodule(f"norm{number}")(x).permute(0, 3, 1, 2)
            maps.append(x)
        return maps[0], maps[1], maps[2], maps[3]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)

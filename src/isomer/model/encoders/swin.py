"""Swin Transformer, tiny.

Liu et al., Swin Transformer: Hierarchical Vision Transformer using Shifted Windows, ICCV 2021,
arXiv:2103.14030. Tensor names are those of the published ImageNet checkpoint
(`swin_tiny_patch4_window7_224.pth`); as in the published network there is no norm on the stages' outputs.
Every other block shifts its windows whatever the map's size, as the dense-prediction version does (the
classification version does not where one window covers the map).
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isomer.model.encoders.drop_path import DropPath, drop_path_rates
from isomer.model.encoders.encoder import Encoder

_WINDOW = 7
_SHIFT = _WINDOW // 2
_AREA = _WINDOW * _WINDOW
_MASKED = -100.0  # exp(-100) is 0 beside any unmasked term, and unlike -inf it survives float16


def _to_windows(x: Tensor) -> Tensor:
    """[B, H, W, ...] to [B, windows, 49, ...], H and W multiples of 7."""
    batch, height, width = x.shape[:3]
    rest = x.shape[3:]
    x = x.reshape(batch, height // _WINDOW, _WINDOW, width // _WINDOW, _WINDOW, *rest)
    return x.transpose(2, 3).reshape(batch, -1, _AREA, *rest)


def _from_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `_to_windows`: [B, windows, 49, C] to [B, H, W, C]."""
    batch, channels = windows.shape[0], windows.shape[-1]
    x = windows.reshape(batch, height // _WINDOW, width // _WINDOW, _WINDOW, _WINDOW, channels)
    return x.transpose(2, 3).reshape(batch, height, width, channels)


def _shift_mask(height: int, width: int, like: Tensor) -> Tensor:
    """What a shifted window may not attend to, because the roll brought it from the map's other side.

    Returns:
        [windows, 1, 49, 49] in the dtype of `like`, 0 where allowed and -100 where not.
    """

    def region(length: int) -> Tensor:
        position = torch.arange(length, device=like.device)
        return (position >= length - _WINDOW).long() + (position >= length - _SHIFT).long()

    regions = 3 * region(height)[:, None] + region(width)[None, :]
    windows = _to_windows(regions[None])[0]
    foreign = windows[:, :, None] != windows[:, None, :]
    return foreign.to(like.dtype)[:, None] * _MASKED


def _relative_position_index() -> Tensor:
    """[49, 49], the row of the bias table for each pair of places in a window."""
    axis = torch.arange(_WINDOW)
    places = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).flatten(1)
    offset = places[:, :, None] - places[:, None, :] + _WINDOW - 1
    return offset[0] * (2 * _WINDOW - 1) + offset[1]


class WindowAttention(nn.Module):
    """Multi-head self-attention inside each window, with a learnt bias a relative position."""

    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * _WINDOW - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", _relative_position_index(), persistent=False)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Map [B, windows, 49, C] to the same; `mask` is that of `_shift_mask`."""
        batch, count, area, dim = windows.shape
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        if mask is not None:
            bias = bias + mask
        qkv = self.qkv(windows).reshape(batch, count, area, 3, self.heads, dim // self.heads)
        # The windows join the heads: fused kernels take four axes, and the bias broadcasts over the first.
        folded = bias.shape[0] * self.heads
        bias = bias.reshape(1, folded, area, area).to(windows.dtype)
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).reshape(3, -1, folded, area, dim // self.heads).unbind(0)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out = out.reshape(batch, count, self.heads, area, dim // self.heads).transpose(2, 3)
        projected: Tensor = self.proj(out.reshape(batch, count, area, dim))
        return projected


class MLP(nn.Module):
    """Linear, GELU, linear."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., C] to the same."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class Block(nn.Module):
    """Pre-norm Transformer block over the windows of a map, shifted or not."""

    def __init__(self, dim: int, heads: int, shifted: bool, drop_path: float) -> None:
        super().__init__()
        self.shift = _SHIFT if shifted else 0
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = MLP(dim, 4 * dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map [B, H, W, C] to the same; `mask` is that of `_shift_mask`, used if the windows are shifted."""
        x = x + self.drop_path(self._attend(self.norm1(x), mask))
        out: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return out

    def _attend(self, x: Tensor, mask: Tensor) -> Tensor:
        height, width = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, -width % _WINDOW, 0, -height % _WINDOW))
        padded_height, padded_width = x.shape[1:3]
        if self.shift:
            x = x.roll((-self.shift, -self.shift), dims=(1, 2))
        windows = self.attn(_to_windows(x), mask if self.shift else None)
        x = _from_windows(windows, padded_height, padded_width)
        if self.shift:
            x = x.roll((self.shift, self.shift), dims=(1, 2))
        return x[:, :height, :width]


class PatchEmbed(nn.Module):
    """Non-overlapping 4x4 patches."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, 4, 4)
        self.norm = nn.LayerNorm(dim)

    def forward(self, image: Tensor) -> Tensor:
        """Map [B, 3, H, W] to [B, H/4, W/4, D]."""
        embedded: Tensor = self.norm(self.proj(image).permute(0, 2, 3, 1))
        return embedded


class PatchMerging(nn.Module):
    """Join each 2x2 neighbourhood."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, H, W, C] to [B, H/2, W/2, 2C]."""
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1)))
        return merged


class Stage(nn.Module):
    """Blocks at one resolution, every second one shifted, then the merging that leads to the next stage."""

    def __init__(self, dim: int, heads: int, drop_paths: list[float], last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(dim, heads, shifted=index % 2 == 1, drop_path=rate) for index, rate in enumerate(drop_paths)
        )
        self.downsample: nn.Module | None = None if last else PatchMerging(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, H, W, C] to the same, before the merging."""
        height, width = x.shape[1:3]
        mask = _shift_mask(height + -height % _WINDOW, width + -width % _WINDOW, like=x)
        for block in self.blocks:
            x = block(x, mask)
        return x


class SwinTiny(Encoder):
    """Swin-T: 27.5 M parameters.

    Args:
        drop_path: stochastic depth of the last block, growing linearly from 0; acts in training only.
    """

    channels: ClassVar[tuple[int, int, int, int]] = (96, 192, 384, 768)
    mean: ClassVar[tuple[float, float, float]] = (0.485, 0.456, 0.406)
    std: ClassVar[tuple[float, float, float]] = (0.229, 0.224, 0.225)

    def __init__(self, drop_path: float = 0.1) -> None:
        super().__init__()
        heads = (3, 6, 12, 24)
        rates = drop_path_rates((2, 2, 6, 2), drop_path)
        self.patch_embed = PatchEmbed(self.channels[0])
        self.layers = nn.ModuleList(
            Stage(dim, heads[stage], rates[stage], last=stage == 3) for stage, dim in enumerate(self.channels)
        )
        self.apply(_initialise)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Encode a normalised image.

        Args:
            image: float [B, 3, H, W], H and W multiples of 32.

        Returns:
            Float maps [B, C, H/s, W/s] at the strides s = 4, 8, 16, 32, with C from `channels`.
        """
        maps = []
        x = self.patch_embed(image)
        for stage in self.layers:
            assert isinstance(stage, Stage)
            x = stage(x)
            maps.append(x.permute(0, 3, 1, 2))
            if stage.downsample is not None:
                x = stage.downsample(x)
        return maps[0], maps[1], maps[2], maps[3]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

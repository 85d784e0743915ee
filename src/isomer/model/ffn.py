"""The feed-forward block that every fusion of the paper ends with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isomer.model.hidden import HiddenBlock


class _DepthwiseConv(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.dwconv(z)
        return x


class FeedForward(HiddenBlock):
    """norm(z + linear2(relu(dwconv(linear1(z))))) on a map [B, C, H, W] (SegFormer's Mix-FFN, post-norm).

    The linear layers run as 1x1 convolutions and the norm over the channels where they are, so that inference engines
    keep one memory layout throughout; as tokens [B, HW, C] the same numbers took a quarter longer.
    """

    def __init__(self, channels: int, expansion: int = 8):
        super().__init__()
        hidden = channels * expansion
        self.linear1 = nn.Linear(channels, hidden)
        self.dwconv = _DepthwiseConv(hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.norm = nn.LayerNorm(channels)

    def hidden(self, z: Tensor) -> Tensor:
        """See `HiddenBlock`."""
        return F.relu(self.dwconv(_pointwise(self.linear1, z)))

    def hidden_layers(self) -> tuple[nn.Linear, nn.Conv2d, nn.Linear]:
        """See `HiddenBlock`."""
        return self.linear1, self.dwconv.dwconv, self.linear2

    def forward(self, z: Tensor) -> Tensor:
        """Transform [B, C, H, W]."""
        return _channel_norm(self.norm, z + _pointwise(self.linear2, self.hidden(z)))


def _pointwise(linear: nn.Linear, x: Tensor) -> Tensor:
    return F.conv2d(x, linear.weight[:, :, None, None], linear.bias)


def _channel_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()  # as autocast treats every norm
    x = x - x.mean(1, keepdim=True)
    x = x * torch.rsqrt((x * x).mean(1, keepdim=True) + norm.eps)
    return x * norm.weight[:, None, None] + norm.bias[:, None, None]

"""Stochastic depth, shared by the Transformer encoders."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """In training, drop a residual branch for whole samples; in evaluation, the identity.

    Huang et al., Deep Networks with Stochastic Depth, ECCV 2016.

    Args:
        rate: probability in [0, 1) that a sample's branch is dropped; others are scaled by 1 / (1 - rate).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Tensor) -> Tensor:
        """Map [B, ...] to [B, ...]."""
        if not self.training or self.rate == 0.0:
            return branch
        keep = 1.0 - self.rate
        shape = (branch.shape[0],) + (1,) * (branch.ndim - 1)
        kept = torch.empty(shape, dtype=branch.dtype, device=branch.device).bernoulli_(keep)
        return branch * kept / keep


def drop_path_rates(depths: tuple[int, ...], last: float) -> list[list[float]]:
    """Rates that grow linearly with depth from 0 to `last`: one list a stage, one rate a block."""
    total = sum(depths)
    rates = iter([last * index / max(total - 1, 1) for index in range(total)])
    return [[next(rates) for _ in range(depth)] for depth in depths]

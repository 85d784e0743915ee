"""Blocks that expand their input into hidden channels, filter each by itself, and project them back.

The hidden channels of a trained block are often more than it needs: `isomer.train.pruning` leaves some out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

_Layer = nn.Linear | nn.Conv2d


class HiddenBlock(nn.Module, ABC):
    """project(hidden(x)), and perhaps a shortcut and a norm; hidden channels meet in the projection only."""

    @abstractmethod
    def hidden(self, x: Tensor) -> Tensor:
        """Return the hidden channels [B, N, H', W'] of an input [B, C, H, W]."""

    @abstractmethod
    def hidden_layers(self) -> tuple[_Layer, nn.Conv2d, _Layer]:
        """Return what makes the hidden channels, what filters them one by one, and what projects them back."""

    @property
    def width(self) -> int:
        """The number of hidden channels."""
        return self.hidden_layers()[1].out_channels

    def keep(self, channels: Tensor) -> None:
        """Leave out all hidden channels but some, by their numbers, int64 [N']: the projection lacks their share."""
        expand, filters, project = self.hidden_layers()
        for layer in (expand, filters):
            assert layer.bias is not None
            layer.weight = nn.Parameter(layer.weight.detach()[channels])
            layer.bias = nn.Parameter(layer.bias.detach()[channels])
        project.weight = nn.Parameter(project.weight.detach()[:, channels])
        filters.in_channels = filters.out_channels = filters.groups = len(channels)
        setattr(expand, "out_features" if isinstance(expand, nn.Linear) else "out_channels", len(channels))
        setattr(project, "in_features" if isinstance(project, nn.Linear) else "in_channels", len(channels))


def narrow(network: nn.Module, widths: dict[str, int]) -> None:
    """Give blocks fewer hidden channels, by the names of the blocks; the first ones stay.

    Raises:
        ValueError: there is no such block, or it has fewer channels.
    """
    blocks = hidden_blocks(network)
    for name, width in widths.items():
        if name not in blocks:
            raise ValueError(f"there is no block {name!r} with hidden channels")
        if not 1 <= width <= blocks[name].width:
            raise ValueError(f"{name} has 1 to {blocks[name].width} hidden channels, not {width}")
        blocks[name].keep(torch.arange(width))


def hidden_blocks(network: nn.Module) -> dict[str, HiddenBlock]:
    """Return the blocks that can be pruned, by name, in the network's order."""
    return {name: block for name, block in network.named_modules() if isinstance(block, HiddenBlock)}

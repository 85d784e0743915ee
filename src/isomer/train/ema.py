"""The exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

_Module = TypeVar("_Module", bound=nn.Module)


class MovingAverage(Generic[_Module]):
    """Average a network's weights over the steps; its buffers, such as batch statistics, are the latest.

    Args:
        model: the network at step 0.
        decay: of the average. In the first steps it is lower, (step + 1) / (step + 10), so that the random
            start is soon forgotten.

    Attributes:
        model: the average, in evaluation mode.
    """

    def __init__(self, model: _Module, decay: float):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after `step`."""
        decay = min(self.decay, (step + 1) / (step + 10))
        parameters = [parameter.detach() for parameter in model.parameters()]
        torch._foreach_lerp_(list(self.model.parameters()), parameters, 1 - decay)
        for average, latest in zip(self.model.buffers(), model.buffers(), strict=True):
            average.copy_(latest)

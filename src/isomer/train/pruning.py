"""Pruning: hidden channels that the rest of their block can stand in for are left out.

A block's hidden channels meet in a linear projection only (`isomer.model.hidden`). Without some of them the block is
therefore approximated best by the projection that fits the rest, by least squares, to what it computed of real inputs
(He et al., Channel Pruning for Accelerating Very Deep Neural Networks, ICCV 2017), and which to leave out next is known
in closed form (Hassibi and Stork, Second Order Derivatives for Network Pruning: Optimal Brain Surgeon, NeurIPS 1992).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from isomer.errors import InputError
from isomer.model.hidden import HiddenBlock, hidden_blocks
from isomer.model.network import Isomer
from isomer.train.build import MicroBatches, build_loader, build_samples
from isomer.train.config import TrainConfig
from isomer.train.validation import normalize

_MULTIPLE = 8  # channels come in vectors of so many floats
_BLOCK = 64  # removals between two updates of the whole inverse
_RIDGE = 1e-3  # of the channels' mean variance: some never vary, others are sums of others


def prune(
    model: Isomer, inputs: Iterable[tuple[Tensor, Tensor]], tolerance: float, parts: Sequence[str] | None = None
) -> Isomer:
    """Return a copy of a network without the hidden channels it can do without.

    Args:
        model: in evaluation mode.
        inputs: batches of frames and flow images as the network takes them, [B, 3, H, W] each, hundreds of samples
            in all: the channels' covariances are measured on them.
        tolerance: the share of the variance of what a block's projection gives that may be lost, in [0, 1].
        parts: modules whose blocks to prune, by name. Default: all but the frame's encoder, which has seen more of
            the world than the inputs show.

    Raises:
        InputError: there are no hidden channels in one of `parts`, or what `inputs` raises.
    """
    pruned = copy.deepcopy(model)
    blocks = hidden_blocks(pruned)
    tops = dict.fromkeys(name.partition(".")[0] for name in blocks)
    if parts is None:
        parts = [top for top in tops if top != "backbone_x"]
    chosen: dict[str, HiddenBlock] = {}
    for part in parts:
        inside = {name: block for name, block in blocks.items() if f"{name}.".startswith(f"{part}.")}
        if not inside:
            raise InputError(f"{part}: the network has no hidden channels there; name a part of {', '.join(tops)}")
        chosen |= inside
    whole = {name: block.width for name, block in chosen.items()}
    for name, statistics in _measure(pruned, chosen, inputs).items():
        _prune_block(chosen[name], statistics, tolerance)
    widths = {name: block.width for name, block in chosen.items() if block.width < whole[name]}
    pruned.config = replace(model.config, hidden=model.config.hidden | widths)
    return pruned


def recipe_inputs(config: TrainConfig, model: Isomer, batches: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield frames and flow images of a recipe's first batches, as the network takes them.

    Raises:
        InputError: data are missing.
    """
    steps = config.optimizer.model_copy(update={"steps": batches, "accumulate": 1})
    for batch in build_loader(build_samples(config), MicroBatches(steps, 0, 0, 1), config.data.workers, pin=False):
        yield normalize(batch.frame, model), normalize(batch.flow, model)


class Statistics(NamedTuple):
    """Of a block's hidden channels: their means [N] and covariances [N, N], float64."""

    mean: Tensor
    covariance: Tensor


class _Moments:
    """Sums the hidden channels of a block, and their products."""

    def __init__(self, block: HiddenBlock):
        self.count, self.sum, self.products = 0, torch.zeros(()), torch.zeros(())
        self.hook = block.register_forward_pre_hook(self._step)

    def _step(self, block: nn.Module, inputs: tuple[Tensor]) -> None:
        assert isinstance(block, HiddenBlock)
        hidden = block.hidden(*inputs).transpose(0, 1).flatten(1)  # [N, B H W]
        self.count += hidden.shape[1]
        self.sum = self.sum + hidden.double().sum(1)
        self.products = self.products + (hidden @ hidden.T).double()

    def result(self) -> Statistics:
        mean = self.sum / self.count
        return Statistics(mean, self.products / self.count - torch.outer(mean, mean))


@torch.inference_mode()
def _measure(
    model: Isomer, blocks: Mapping[str, HiddenBlock], inputs: Iterable[tuple[Tensor, Tensor]]
) -> dict[str, Statistics]:
    moments = {name: _Moments(block) for name, block in blocks.items()}
    for frame, flow in inputs:
        model(frame, flow)
    for each in moments.values():
        each.hook.remove()
    return {name: each.result() for name, each in moments.items()}


def _prune_block(block: HiddenBlock, statistics: Statistics, tolerance: float) -> None:
    mean, covariance = statistics
    covariance = covariance + _RIDGE * covariance.diagonal().mean().clamp_min(1e-9) * torch.eye(len(mean))
    project = block.hidden_layers()[2]
    weight = project.weight.detach().flatten(1).double()
    kept = channels_to_keep(weight, covariance, tolerance)
    # Fitted anew, as the last ones left out may have come back; the bias takes over the means of what is lost.
    fitted = torch.linalg.solve(covariance[kept][:, kept], covariance[kept] @ weight.T).T
    block.keep(kept)
    with torch.no_grad():
        assert project.bias is not None
        project.weight.flatten(1).copy_(fitted)
        project.bias += weight @ mean - fitted @ mean[kept]


def channels_to_keep(weight: Tensor, covariance: Tensor, tolerance: float) -> Tensor:
    """Remove the most dispensable channel, one after the other, while the rest can stand in for them.

    Args:
        weight: of the projection, float64 [O, N].
        covariance: of the channels, float64 [N, N], positive definite.
        tolerance: the share of the output's variance that may be lost.

    Returns:
        The numbers of those left in ascending order, int64 [N'], N' a multiple of 8 or N.
    """
    budget = tolerance * float(((weight @ covariance) * weight).sum())
    weight, precision = weight.clone(), torch.linalg.inv(covariance)
    left, removed = torch.arange(len(covariance)), []
    while True:
        # Without channel i the precision P is P - p p' / P_ii, p being its column i: collected as P - V V' for a block
        # of removals, then done at once, which is what processors are fast at.
        block: list[int] = []
        v, diagonal = precision.new_zeros(len(left), _BLOCK), precision.diagonal().clone()
        for k in range(min(_BLOCK, len(left) - 1)):
            losses = weight.square().sum(0) / diagonal
            losses[block] = torch.inf
            i = int(losses.argmin())
            if losses[i] > budget:
                break
            budget -= float(losses[i])
            column = precision[:, i] - v @ v[i]
            weight.addr_(weight[:, i].clone(), column / column[i], alpha=-1)  # the others take over, as best they can
            v[:, k] = column / column[i].sqrt()
            diagonal -= v[:, k].square()
            block.append(i)
        if not block:
            break
        removed += left[block].tolist()
        rest = torch.ones(len(left), dtype=torch.bool)
        rest[block] = False
        precision = (precision - v @ v.T)[rest][:, rest]
        weight, left = weight[:, rest], left[rest]
    back = min(-len(left) % _MULTIPLE, len(removed))
    return torch.cat([left, torch.tensor(removed[len(removed) - back :], dtype=torch.int64)]).sort().values

"""RAFT-small (Teed & Deng, ECCV 2020): optical flow from correlations of all with all, refined step by step.

Layers have the names of the published weights but for the recurrent unit's, see `_ConvGRU`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from isomer.errors import InputError, require
from isomer.model.weights import EMBEDDED

STRIDE = 8
"""Pixels a side of a cell: features and flow are computed on a grid of cells."""

_HIDDEN, _CONTEXT, _FEATURES, _MOTION = 96, 64, 128, 82  # channels
_LEVELS, _RADIUS = 4, 3


class Pair(NamedTuple):
    """What stays as it is while the flow between two images is refined.

    Attributes:
        correlations: of every cell of the source with all of the target, [B, h w, N]; see `_correlated`.
        context: the source's share in the recurrent unit, [B, 288, h, w].
    """

    correlations: Tensor
    context: Tensor


class RAFTSmall(nn.Module):
    """Estimate the optical flow from one image to another, both [B, 3, H, W], RGB in 0 to 255, of any real type.

    H and W are multiples of 8, from 64 on; the grid of cells is [h, w] = [H / 8, W / 8].
    """

    def __init__(self) -> None:
        super().__init__()
        self.fnet = _Encoder(_FEATURES, norm=True)
        self.cnet = _Encoder(_HIDDEN + _CONTEXT, norm=False)
        self.update_block = _UpdateBlock()

    def forward(self, source: Tensor, target: Tensor, iterations: int = 12) -> Tensor:
        """Return the flow [B, 2, H, W], x and y in pixels: what is at p in `source` is at p + flow(p) in `target`."""
        pair, flow, hidden = self.begin(source, target)
        for _ in range(iterations):
            flow, hidden = self.step(pair, flow, hidden)
        return enlarged(flow)

    def begin(self, source: Tensor, target: Tensor) -> tuple[Pair, Tensor, Tensor]:
        """Return what stays, the flow zero [B, 2, h, w] and the hidden state [B, 96, h, w] to begin with."""
        source, target = (2 * (image / 255) - 1 for image in (source, target))
        hidden, context = torch.split(self.cnet(source), [_HIDDEN, _CONTEXT], 1)
        correlations = _correlated(self.fnet(source), self.fnet(target))
        pair = Pair(correlations, self.update_block.gru.context(context.relu()))
        return pair, torch.zeros_like(hidden[:, :2]), hidden.tanh()

    def step(self, pair: Pair, flow: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Refine the flow, in cells, and the hidden state once."""
        change, hidden = self.update_block(hidden, pair.context, _look_up(pair.correlations, flow), flow)
        return flow + change, hidden


def enlarged(flow: Tensor) -> Tensor:
    """Return the flow between pixels, [B, 2, 8 h, 8 w], for one between cells, [B, 2, h, w]."""
    size = STRIDE * flow.shape[2], STRIDE * flow.shape[3]
    return STRIDE * F.interpolate(flow, size=size, mode="bilinear", align_corners=True)


def load_raft(path: str | Path = EMBEDDED / "raft_small.onnx") -> RAFTSmall:
    """Read the network, in evaluation mode.

    Args:
        path: the published tensors as `.safetensors`, or the `.onnx` that comes with the package.

    Raises:
        InputError: the file is missing or holds something else.
        MissingPackageError: it is an ONNX file, and the package onnx is not installed.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        require(str(path), "export", "onnx")
    network = RAFTSmall()
    try:
        stored = _initializers(path) if path.suffix == ".onnx" else _gates_joined(load_file(path))
        network.load_state_dict({name: stored[name] for name in network.state_dict()})
    except Exception as error:  # those of safetensors and ONNX have no common base of their own
        raise InputError(f"{path}: no readable weights of RAFT-small; check the path") from error
    return network.eval()


def _initializers(path: Path) -> dict[str, Tensor]:
    import onnx
    from onnx import numpy_helper

    return {t.name: torch.tensor(numpy_helper.to_array(t)) for t in onnx.load(path).graph.initializer}


def _gates_joined(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Divide the published layers of the recurrent unit by their inputs, and join those of one input."""
    joined = {name: tensor for name, tensor in published.items() if ".gru." not in name}
    layers = [f"update_block.gru.conv{gate}" for gate in "zrq"]
    weight = torch.cat([published[f"{layer}.weight"] for layer in layers])
    hidden, context, motion = torch.split(weight, [_HIDDEN, _CONTEXT, _MOTION], 1)
    gates, candidate = torch.split(torch.cat((hidden, motion), 1), [2 * _HIDDEN, _HIDDEN])
    return joined | {
        "update_block.gru.context.weight": context,
        "update_block.gru.context.bias": torch.cat([published[f"{layer}.bias"] for layer in layers]),
        "update_block.gru.gates.weight": gates,
        "update_block.gru.candidate.weight": candidate,
    }


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias)


class _InstanceNorm(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.instance_norm(x)


class _Encoder(nn.Module):
    """A residual network from [B, 3, H, W] to [B, outputs, h, w]."""

    def __init__(self, outputs: int, norm: bool):
        super().__init__()
        self.norm: nn.Module = _InstanceNorm() if norm else nn.Identity()
        self.conv1 = _conv(3, 32, 7, 2)
        self.layer1 = nn.Sequential(_Bottleneck(32, 32, 1, self.norm), _Bottleneck(32, 32, 1, self.norm))
        self.layer2 = nn.Sequential(_Bottleneck(32, 64, 2, self.norm), _Bottleneck(64, 64, 1, self.norm))
        self.layer3 = nn.Sequential(_Bottleneck(64, 96, 2, self.norm), _Bottleneck(96, 96, 1, self.norm))
        self.conv2 = _conv(96, outputs, 1)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv1(image)))
        features: Tensor = self.conv2(self.layer3(self.layer2(self.layer1(x))))
        return features


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, norm: nn.Module):
        super().__init__()
        self.norm = norm
        self.conv1 = _conv(inputs, outputs // 4, 1)
        self.conv2 = _conv(outputs // 4, outputs // 4, 3, stride)
        self.conv3 = _conv(outputs // 4, outputs, 1)
        self.downsample = nn.Sequential(_conv(inputs, outputs, 1, stride), norm) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        z = F.relu(self.norm(self.conv1(x)))
        z = F.relu(self.norm(self.conv2(z)))
        z = F.relu(self.norm(self.conv3(z)))
        return F.relu(self.downsample(x) + z)


class _UpdateBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = _MotionEncoder()
        self.gru = _ConvGRU()
        self.flow_head = _FlowHead()

    def forward(self, hidden: Tensor, context: Tensor, correlations: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """Return the change of the flow and the next hidden state."""
        hidden = self.gru(hidden, context, self.encoder(correlations, flow))
        return self.flow_head(hidden), hidden


class _MotionEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convc1 = _conv(_LEVELS * (2 * _RADIUS + 1) ** 2, 96, 1)
        self.convf1 = _conv(2, 64, 7)
        self.convf2 = _conv(64, 32, 3)
        self.conv = _conv(96 + 32, _MOTION - 2, 3)

    def forward(self, correlations: Tensor, flow: Tensor) -> Tensor:
        matches = F.relu(self.convc1(correlations))
        motion = F.relu(self.convf2(F.relu(self.convf1(flow))))
        return torch.cat((F.relu(self.conv(torch.cat((matches, motion), 1))), flow), 1)


class _ConvGRU(nn.Module):
    """A recurrent unit of 3x3 convolutions over hidden state, context and motion, gated by an update and a reset.

    The context never changes: its share in both gates and the candidate is a layer of its own, to be applied once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.context = _conv(_CONTEXT, 3 * _HIDDEN, 3)
        self.gates = _conv(_HIDDEN + _MOTION, 2 * _HIDDEN, 3, bias=False)
        self.candidate = _conv(_HIDDEN + _MOTION, _HIDDEN, 3, bias=False)

    def forward(self, hidden: Tensor, context: Tensor, motion: Tensor) -> Tensor:
        of_gates, of_candidate = torch.split(context, [2 * _HIDDEN, _HIDDEN], 1)
        update, reset = (self.gates(torch.cat((hidden, motion), 1)) + of_gates).sigmoid().chunk(2, 1)
        candidate = (self.candidate(torch.cat((reset * hidden, motion), 1)) + of_candidate).tanh()
        state: Tensor = hidden + update * (candidate - hidden)
        return state


class _FlowHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _conv(_HIDDEN, 128, 3)
        self.conv2 = _conv(128, 2, 3)

    def forward(self, hidden: Tensor) -> Tensor:
        change: Tensor = self.conv2(F.relu(self.conv1(hidden)))
        return change


def _correlated(source: Tensor, target: Tensor) -> Tensor:
    """Correlate each cell of `source` with all of `target`, and with its means over 2 x 2, 4 x 4 and 8 x 8.

    Returns:
        [B, h w, N]: one level after the other, of each the rows, with a ring of zeros around.
    """
    levels = []
    for level in range(_LEVELS):
        if level:
            target = F.avg_pool2d(target, 2)  # the mean of correlations is the correlation with the mean
        levels.append(F.pad(target, (1, 1, 1, 1)).flatten(2))
    return source.flatten(2).transpose(1, 2) / math.sqrt(_FEATURES) @ torch.cat(levels, 2)


def _look_up(correlations: Tensor, flow: Tensor) -> Tensor:
    """Look up the window around where the flow leads, bilinearly, in every level: [B, 196, h, w], x slow, y fast.

    The points of a window are whole cells apart, and so all as far from the cells around them: the 7 x 7 values come
    from 8 x 8 cells and one weight in each direction.
    """
    batch, _, height, width = flow.shape
    device = flow.device
    scales = 2 ** torch.arange(_LEVELS, device=device)
    heights, widths = height // scales, width // scales
    x = (flow[:, 0] + torch.arange(width, device=device)).reshape(batch, -1, 1) / scales
    y = (flow[:, 1] + torch.arange(height, device=device)[:, None]).reshape(batch, -1, 1) / scales
    left, top = x.floor(), y.floor()
    offsets = torch.arange(-_RADIUS, _RADIUS + 2, device=device)
    # The ring stands for all outside.
    columns = (left.long()[..., None] + offsets).clamp(min=-1).minimum(widths[:, None]) + 1
    rows = (top.long()[..., None] + offsets).clamp(min=-1).minimum(heights[:, None]) + 1

    sizes = (heights + 2) * (widths + 2)
    cells = torch.arange(batch * height * width, device=device).reshape(batch, -1, 1, 1)
    starts = cells * correlations.shape[2] + (sizes.cumsum(0) - sizes)[:, None]
    places = (starts + columns)[..., None] + ((widths + 2)[:, None] * rows)[..., None, :]
    values = correlations.flatten().index_select(0, places.flatten()).reshape(places.shape)

    right, below = (x - left)[..., None, None], (y - top)[..., None, None]
    values = values[:, :, :, :-1] + right * (values[:, :, :, 1:] - values[:, :, :, :-1])
    values = values[..., :-1] + below * (values[..., 1:] - values[..., :-1])
    return values.flatten(2).transpose(1, 2).reshape(batch, -1, height, width)

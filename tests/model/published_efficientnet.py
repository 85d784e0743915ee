"""EfficientNet-Lite as its authors describe it: blocks as in their builder, batch norms apart, TensorFlow's padding."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = {"efficientnet_lite0": (1.0, 1.0), "efficientnet_lite2": (1.1, 1.2)}  # of width and depth
_GROUPS = (  # blocks, kernel, stride, expansion, inputs, outputs
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


def _filters(channels: int, width: float) -> int:
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _blocks(name: str) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield (kernel, stride, expansion, inputs, outputs)."""
    width, depth = SCALES[name]
    for number, (repeats, kernel, stride, expansion, inputs, outputs) in enumerate(_GROUPS):
        outer = number in (0, len(_GROUPS) - 1)
        first, then = 32 if number == 0 else _filters(inputs, width), _filters(outputs, width)
        for i in range(repeats if outer else math.ceil(repeats * depth)):
            yield kernel, stride if i == 0 else 1, expansion, then if i else first, then


def random_state(name: str, seed: int = 5) -> dict[str, Tensor]:
    """Return what the authors' file of the classifier holds, with random numbers."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def layer(convolution: str, norm: str, outputs: int, inputs: int, kernel: int) -> None:
        scale = (2 / (inputs * kernel**2)) ** 0.5
        state[f"{convolution}.weight"] = scale * torch.randn(outputs, inputs, kernel, kernel, generator=generator)
        for part in ("weight", "running_var"):
            state[f"{norm}.{part}"] = 0.5 + torch.rand(outputs, generator=generator)
        for part in ("bias", "running_mean"):
            state[f"{norm}.{part}"] = 0.2 * torch.randn(outputs, generator=generator)
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)

    layer("_conv_stem", "_bn0", 32, 3, 3)
    outputs = 0
    for i, (kernel, _, expansion, inputs, outputs) in enumerate(_blocks(name)):
        if expansion > 1:
            layer(f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0", inputs * expansion, inputs, 1)
        layer(f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1", inputs * expansion, 1, kernel)
        layer(f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2", outputs, inputs * expansion, 1)
    layer("_conv_head", "_bn1", 1280, outputs, 1)
    return state | {"_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}


def maps(name: str, state: dict[str, Tensor], image: Tensor) -> list[Tensor]:
    """Return the last maps of strides 4, 8, 16 and 32 that the authors' network computes of an image [B, 3, H, W]."""

    def layer(x: Tensor, convolution: str, norm: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = state[f"{convolution}.weight"]
        kernel = weight.shape[-1]
        sides = []
        for length in (x.shape[3], x.shape[2]):
            padding = max((math.ceil(length / stride) - 1) * stride + kernel - length, 0)
            sides += [padding // 2, padding - padding // 2]
        x = F.conv2d(F.pad(x, sides), weight, None, stride, groups=groups)
        mean, variance, gain, bias = (
            state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, variance, gain, bias, eps=1e-3)

    x = layer(image, "_conv_stem", "_bn0", 2).clamp(0, 6)
    last = {}
    for i, (_, stride, expansion, inputs, outputs) in enumerate(_blocks(name)):
        block, z = f"_blocks.{i}", x
        if expansion > 1:
            z = layer(z, f"{block}._expand_conv", f"{block}._bn0").clamp(0, 6)
        z = layer(z, f"{block}._depthwise_conv", f"{block}._bn1", stride, inputs * expansion).clamp(0, 6)
        z = layer(z, f"{block}._project_conv", f"{block}._bn2")
        x = x + z if stride == 1 and inputs == outputs else z
        last[image.shape[-1] // x.shape[-1]] = x
    return [last[stride] for stride in (4, 8, 16, 32)]

"""The batched SGST against the paper's definition: gather each set, transform it, scatter it back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from isomer.model.sgst import SGST

CHANNELS, HEIGHT, WIDTH, BATCH = 16, 5, 7, 3


def ragged_gather_scatter(sgst: SGST, z: Tensor, heat: Tensor) -> Tensor:
    """Process one image at a time, one branch at a time, only the pixels that belong to it."""
    return torch.stack([_one_image(sgst, z[i], heat[i, 0]) for i in range(len(z))])


def _one_image(sgst: SGST, z: Tensor, heat: Tensor) -> Tensor:
    pixels = z.flatten(1).T  # [HW, C]
    h = heat.flatten()
    out = pixels.clone()
    branches = (
        (
            h,
            h >= sgst.threshold,
            sgst.fg_soft_weights,
            sgst.fg_self_attention_layers[0],
            sgst.fg_ffn_layers[0],
        ),
        (
            1 - h,
            h < 1 - sgst.threshold,
            sgst.bg_soft_weights,
            sgst.bg_self_attention_layers[0],
            sgst.bg_ffn_layers[0],
        ),
    )
    for weight, chosen, soft_weights, layer, ffn in branches:
        places = chosen.nonzero()[:, 0]
        if len(places) == 0:
            continue
        merged = weight[:, None] * pixels
        scores = merged @ soft_weights.weight[:, :, 0, 0].T + soft_weights.bias  # [HW, K]
        tokens = scores.softmax(0).T @ merged
        attended = layer.norm(pixels[places] + attention(layer.self_attn, pixels[places], tokens))
        scattered = pixels.index_put((places,), attended)
        transformed = ffn(scattered.T.reshape(1, *z.shape))[0].flatten(1).T
        out = out.index_put((places,), transformed[places])
    return out.T.reshape(z.shape)


def attention(layer: nn.MultiheadAttention, queries: Tensor, tokens: Tensor) -> Tensor:
    """Textbook multi-head attention, head by head."""
    wq, wk, wv = layer.in_proj_weight.chunk(3)
    bq, bk, bv = layer.in_proj_bias.chunk(3)
    q, k, v = queries @ wq.T + bq, tokens @ wk.T + bk, tokens @ wv.T + bv
    d = q.shape[1] // layer.num_heads
    heads = []
    for i in range(layer.num_heads):
        s = slice(i * d, (i + 1) * d)
        heads.append((q[:, s] @ k[:, s].T / d**0.5).softmax(-1) @ v[:, s])
    return layer.out_proj(torch.cat(heads, 1))


def heat_map(kind: str) -> Tensor:
    if kind == "foreground":
        return torch.ones(BATCH, 1, HEIGHT, WIDTH)
    if kind == "background":
        return torch.zeros(BATCH, 1, HEIGHT, WIDTH)
    return torch.rand(BATCH, 1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3))


@pytest.fixture(params=[0.5, 0.7])
def sgst(request: pytest.FixtureRequest) -> SGST:
    torch.manual_seed(0)
    module = SGST(CHANNELS, tokens=9, heads=4, threshold=request.param)
    for parameter in module.parameters():  # biases and norms start at 0 and 1, which would hide mistakes
        nn.init.normal_(parameter, std=0.3)
    return module.double()


@pytest.mark.parametrize("kind", ["random", "foreground", "background"])
def test_equals_the_ragged_loop_in_outputs_and_gradients(sgst: SGST, kind: str) -> None:
    z = torch.randn(BATCH, CHANNELS, HEIGHT, WIDTH, dtype=torch.double)
    heat = heat_map(kind).double()
    results = []
    for transform in (sgst.gather_scatter, lambda z, h: ragged_gather_scatter(sgst, z, h)):
        sgst.zero_grad(set_to_none=False)
        inputs = z.clone().requires_grad_(), heat.clone().requires_grad_()
        output = transform(*inputs)
        (output * torch.arange(output.numel()).reshape(output.shape).cos()).sum().backward()
        gradients = {
            name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in sgst.named_parameters()
        }
        results.append((output.detach(), inputs[0].grad, inputs[1].grad, gradients))
    batched, ragged = results
    torch.testing.assert_close(batched[0], ragged[0])
    torch.testing.assert_close(batched[1], ragged[1])
    torch.testing.assert_close(batched[2], torch.zeros_like(heat) if ragged[2] is None else ragged[2])
    for name, gradient in ragged[3].items():
        torch.testing.assert_close(batched[3][name], gradient, msg=name)


def test_pixels_of_neither_set_stay_as_they_are() -> None:
    sgst = SGST(CHANNELS, tokens=9, heads=4, threshold=0.7)
    z = torch.randn(1, CHANNELS, HEIGHT, WIDTH)
    assert torch.equal(sgst.gather_scatter(z, torch.full((1, 1, HEIGHT, WIDTH), 0.5)), z)


def test_is_more_than_its_projection() -> None:
    """The published code drops what its branches compute; ours must not."""
    torch.manual_seed(0)
    sgst = SGST(CHANNELS, tokens=9, heads=4)
    x, y = torch.randn(2, BATCH, CHANNELS, HEIGHT, WIDTH)
    fused, _ = sgst(x, y)
    assert (fused - sgst.project(torch.cat([x, y], 1))).abs().max() > 0.1

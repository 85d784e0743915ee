from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from isomer.model.config import FusionName, IsomerConfig
from isomer.model.cst import ContextSharing
from isomer.model.encoders.mobilenet import MobileNetV2
from isomer.model.ffn import FeedForward
from isomer.model.network import Isomer
from isomer.model.vanilla import Vanilla

FUSIONS: tuple[FusionName, ...] = ("isomer", "vanilla", "cst", "sgst", "published")


@pytest.fixture(scope="module")
def network() -> Isomer:
    torch.manual_seed(0)
    return Isomer().eval()


def pair(batch: int, height: int, width: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    frame, flow = torch.randn(2, batch, 3, height, width, generator=generator)
    return frame, flow


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_gives_one_logit_map_at_the_inputs_size(fusion: FusionName) -> None:
    network = Isomer(IsomerConfig(fusion=fusion)).eval()
    with torch.inference_mode():
        assert network(*pair(2, 64, 96)).shape == (2, 1, 64, 96)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 64), (65, 97), (64, 31)])
@torch.inference_mode()
def test_any_size_is_padded_by_its_border_and_cropped(network: Isomer, height: int, width: int) -> None:
    frame, flow = pair(1, height, width)
    padding = (0, -width % 32, 0, -height % 32)
    padded = [
        torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (0, padding[3]), (0, padding[1])), "edge"))
        for x in (frame, flow)
    ]
    torch.testing.assert_close(network(frame, flow), network(*padded)[:, :, :height, :width])


@torch.inference_mode()
def test_output_does_not_depend_on_the_rest_of_the_batch(network: Isomer) -> None:
    frame, flow = pair(3, 64, 64)
    together = network(frame, flow)
    for i in range(3):
        torch.testing.assert_close(network(frame[i : i + 1], flow[i : i + 1])[0], together[i], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_both_streams_matter(network: Isomer) -> None:
    frame, flow = pair(1, 64, 64)
    logits = network(frame, flow)
    assert (network(frame, -flow) - logits).abs().max() > 1e-3
    assert (network(-frame, flow) - logits).abs().max() > 1e-3


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_weight_receives_a_gradient(fusion: FusionName) -> None:
    torch.manual_seed(0)
    network = Isomer(IsomerConfig(fusion=fusion))
    logits, heat_maps = network.forward_with_heat_maps(*pair(2, 64, 64))
    (logits.square().mean() + sum(heat.square().mean() for heat in heat_maps)).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_heat_maps_come_from_the_sgst_stages() -> None:
    _, heat_maps = Isomer().forward_with_heat_maps(*pair(1, 64, 64))
    assert [heat.shape for heat in heat_maps] == [(1, 1, 4, 4), (1, 1, 2, 2)]


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="mit_b0"):
        IsomerConfig(encoder="resnet")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="vanilla"):
        IsomerConfig(fusion="sum")  # type: ignore[arg-type]


@torch.inference_mode()
def test_context_sharing_equals_a_loop_over_pixels() -> None:
    torch.manual_seed(0)
    module = ContextSharing(4, ratio=2)
    z = torch.randn(2, 4, 3, 5)
    for b in range(2):
        scores = [module.conv_mask.weight[0, :, 0, 0] @ z[b, :, i, j] for i in range(3) for j in range(5)]
        weights = torch.stack(scores).softmax(0)
        context = sum(w * z[b, :, k // 5, k % 5] for k, w in enumerate(weights))
        expected = z[b] + module.channel_add_conv(context[None, :, None, None])[0]
        torch.testing.assert_close(module(z)[b], expected)


@torch.inference_mode()
def test_vanilla_lets_every_pixel_attend_to_every_pixel() -> None:
    torch.manual_seed(0)
    module = Vanilla(8, heads=1)
    x, y = torch.randn(2, 1, 8, 3, 3)
    z = module.project(torch.cat([x, y], 1)).flatten(2)[0].T
    wq, wk, wv = module.attention.self_attn.in_proj_weight.chunk(3)
    attended = ((z @ wq.T) @ (z @ wk.T).T / 8**0.5).softmax(-1) @ (z @ wv.T)
    attended = module.attention.norm(z + module.attention.self_attn.out_proj(attended))
    torch.testing.assert_close(module(x, y)[0], module.ffn(attended.T.reshape(1, 8, 3, 3)))


@torch.inference_mode()
def test_feed_forward_is_a_convolution_block_with_post_norm() -> None:
    torch.manual_seed(0)
    ffn = FeedForward(4)
    z = torch.randn(2, 4, 5, 6)
    hidden = F.conv2d(z, ffn.linear1.weight[..., None, None], ffn.linear1.bias)
    hidden = F.conv2d(hidden, ffn.dwconv.dwconv.weight, ffn.dwconv.dwconv.bias, padding=1, groups=32).relu()
    out = z + F.conv2d(hidden, ffn.linear2.weight[..., None, None], ffn.linear2.bias)
    expected = F.layer_norm(out.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2)
    torch.testing.assert_close(ffn(z), expected)


@torch.inference_mode()
def test_mobilenet_pads_strided_convolutions_at_the_bottom_right_only() -> None:
    """A step edge at an even column must reach the same output column as in TensorFlow's "SAME" padding."""
    encoder = MobileNetV2()
    torch.nn.init.zeros_(encoder.stem.weight)
    encoder.stem.weight[0, 0, 0, 0] = 1  # passes on the top left pixel of each window
    image = torch.arange(64.0).reshape(1, 1, 8, 8).expand(1, 3, 8, 8)
    torch.testing.assert_close(encoder.stem(image)[0, 0], image[0, 0, ::2, ::2])

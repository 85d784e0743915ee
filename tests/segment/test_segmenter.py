from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from itertools import count, islice

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.flow import DISFlow, flow_to_image, frames_with_flow, moving_frames
from isomer.media import Frame
from isomer.media.resize import network_size, resize_image
from isomer.model.network import Isomer
from isomer.runtime.pytorch import TorchBackend
from isomer.segment import Segmenter

Image = NDArray[np.uint8]


def frames(images: list[Image]) -> list[Frame]:
    return [Frame(index, image, index / 24, f"{index:05d}") for index, image in enumerate(images)]


def segmenter(network: Isomer, **options: object) -> Segmenter:
    return Segmenter(network, size=96, device="cpu", **options)  # type: ignore[arg-type]


def no_threads() -> bool:
    return not any(thread.name == "isomer-prefetch" for thread in threading.enumerate())


def test_maps_are_the_networks_own(network: Isomer, images: list[Image]) -> None:
    """The oracle: each frame alone, resized by PyTorch and normalised by hand."""
    results = list(segmenter(network, key_interval=1, smoothing=0, edges="map")(images))
    assert [result.index for result in results] == list(range(len(images)))
    mean, std = (torch.tensor(values)[:, None, None] for values in (network.mean, network.std))
    for frame, flow in frames_with_flow(frames(images), DISFlow()):
        inputs = []
        for image in (frame.image, flow_to_image(flow)):
            pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
            small = (F.interpolate(pixels, (64, 128), mode="area") + 0.5).floor()
            inputs.append((small / 255 - mean) / std)
        with torch.inference_mode():
            expected = F.interpolate(network(*inputs).sigmoid(), frame.image.shape[:2], mode="bilinear")[0, 0]
        found = results[frame.index].probability
        assert found.dtype == np.float32
        assert found.shape == frame.image.shape[:2]
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)


@pytest.mark.parametrize(("batch", "ahead"), [(1, 0), (5, 2), (5, 0), (32, 1)])
def test_batches_and_threads_change_nothing(network: Isomer, images: list[Image], batch: int, ahead: int) -> None:
    expected = list(segmenter(network)(images))
    found = list(segmenter(network, batch=batch, ahead=ahead)(images))
    for one, other in zip(found, expected, strict=True):
        assert one.index == other.index
        np.testing.assert_allclose(one.probability, other.probability, atol=1e-4)


@pytest.mark.parametrize("views", [2, 4])
def test_views_are_averaged(network: Isomer, images: list[Image], views: int) -> None:
    """The oracle: the network by hand on each image and flow, mirrored as vectors."""
    results = list(segmenter(network, views=views, batch=2, key_interval=1, smoothing=0, edges="map")(images))
    for moving in moving_frames(frames(images), DISFlow(), both=True):
        ahead, behind = moving.flows
        seen = [(ahead, False), (behind, True), (behind, False), (ahead, True)][:views]
        maps = []
        for flow, mirror in seen:
            image, flow = moving.frame.image, flow.copy()
            if mirror:
                image, flow = image[:, ::-1], flow[:, ::-1] * (-1, 1)
            small = [resize_image(np.ascontiguousarray(x), (128, 64)) for x in (image, flow_to_image(np.float32(flow)))]
            one = TorchBackend(network, "cpu")(small[0][None], small[1][None])[0]
            maps.append(one[:, ::-1] if mirror else one)
        expected = cv2.resize(np.mean(maps, axis=0), moving.frame.image.shape[1::-1])
        np.testing.assert_allclose(results[moving.frame.index].probability, expected, atol=1e-4)


def test_the_same_input_gives_the_same_bytes(network: Isomer, images: list[Image]) -> None:
    first, second = (b"".join(found.probability.tobytes() for found in segmenter(network)(images)) for _ in range(2))
    assert first == second


def test_memory_does_not_grow_with_the_length(network: Isomer, images: list[Image]) -> None:
    made: list[weakref.ref[Image]] = []
    alive = []

    def endless() -> Iterator[Frame]:
        for index in count():
            image = images[index % len(images)].copy()
            made.append(weakref.ref(image))
            yield Frame(index, image, index / 24, str(index))

    stream = segmenter(network)(endless())
    for _ in islice(stream, 120):
        alive.append(sum(image() is not None for image in made))
    stream.close()
    # 7 + 4 where the flow is found, 3 read ahead, up to 6 with each of the key frames between there and the caller.
    assert max(alive) <= 48


def test_stopping_early_leaves_no_thread(network: Isomer, images: list[Image]) -> None:
    stream = segmenter(network)(images)
    next(stream)
    stream.close()
    assert no_threads()


@pytest.mark.parametrize("stage", ["frames", "flow", "network"])
def test_a_failure_of_any_stage_comes_as_it_is(network: Isomer, images: list[Image], stage: str) -> None:
    class OwnError(Exception):
        pass

    def failing(*_: object) -> NDArray[np.float32]:
        raise OwnError

    def source() -> Iterator[Frame]:
        yield from frames(images)
        if stage == "frames":
            raise OwnError

    this = segmenter(network, **{"flow": failing} if stage == "flow" else {})
    if stage == "network":
        failing.stride, failing.workers, failing.start = 32, 1, failing  # type: ignore[attr-defined]
        this._backend = failing  # type: ignore[assignment]
    with pytest.raises(OwnError):
        list(this(source()))
    assert no_threads()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 32}, "size=32: not between 64 and 4096 pixels$"),
        ({"views": 3}, "views=3: not 1, 2 or 4"),
        ({"flow": "farneback"}, "flow=farneback: not dis or raft"),
        ({"backend": "tensorrt"}, "backend=tensorrt: not auto, openvino, onnx or torch"),
        ({"device": "cuda:99", "backend": "torch"}, "device=cuda:99: not available here"),
        ({"device": "cuda", "backend": "openvino"}, "device=cuda: openvino runs on the CPU"),
        ({"model": "isomer_resnet"}, "isomer_resnet: unknown model"),
        ({"model": "missing.safetensors"}, "missing.safetensors: cannot be read"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Segmenter(**options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "size", "expected"),
    [
        ((854, 480), 384, (512, 288)),
        ((480, 854), 384, (288, 512)),
        ((64, 64), 384, (384, 384)),
        ((4000, 16), 64, (1024, 32)),
    ],
)
def test_network_size_keeps_area_and_aspect(frame: tuple[int, int], size: int, expected: tuple[int, int]) -> None:
    assert network_size(*frame, size, 32) == expected


def test_two_passes_are_one_where_nothing_is_taken_out(
    network: Isomer, images: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, object] = {"key_interval": 3, "views": 2, "edges": "map"}
    expected = list(segmenter(network, **options)(images))
    monkeypatch.setattr("isomer.segment.segmenter.without", lambda probability, taken_out: probability)
    found = list(segmenter(network, **options, passes=2)(images))
    assert [result.index for result in found] == [result.index for result in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.probability, other.probability, atol=0.6 / 255)


def test_what_is_taken_out_is_missing_in_the_frames_between_too(
    network: Isomer, images: list[Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isomer.segment.segmenter.without", lambda probability, taken_out: 0 * probability)
    for result in segmenter(network, key_interval=3, passes=2)(images):
        assert not result.probability.any()


def test_two_passes_need_frames_that_can_be_read_twice(network: Isomer, images: list[Image]) -> None:
    with pytest.raises(InputError, match="an iterator, which two passes cannot read twice"):
        segmenter(network, passes=2)(iter(images))

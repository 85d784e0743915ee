"""What a Segmenter is given: other things than RGB images are refused with what to pass, arrays may be used again."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from isomer.errors import InputError
from isomer.flow import DISFlow
from isomer.media import Frame
from isomer.model.network import Isomer
from isomer.segment import Segmenter
from isomer.segment.door import TakenFrames, as_frames

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def segmenter(network: Isomer) -> Segmenter:
    return Segmenter(network, size=64, device="cpu")


@pytest.fixture(scope="module")
def reference(segmenter: Segmenter, images: list[Picture]) -> list[NDArray[np.float32]]:
    return [result.probability for result in segmenter(images)]


# Images of other kinds, what is said of them, and what to do.
KINDS: dict[str, tuple[Callable[[Picture], object], str, str]] = {
    "float": (lambda image: image / 255, "float64", "(255 * image).round().astype(np.uint8)"),
    "float32": (lambda image: np.float32(image / 255), "float32", "(255 * image).round().astype(np.uint8)"),
    "uint16": (lambda image: image.astype(np.uint16) * 257, "uint16", "(image // 257).astype(np.uint8)"),
    "int64": (lambda image: image.astype(np.int64), "int64", "image.astype(np.uint8)"),
    "gray": (lambda image: image[..., 0], "gray, [128, 256]", "np.dstack([image] * 3)"),
    "one channel": (lambda image: image[..., :1], "gray, [128, 256, 1]", "np.dstack([image] * 3)"),
    "RGBA": (lambda image: np.dstack([image, image[..., 0]]), "four channels, [128, 256, 4]", "image[..., :3]"),
    "CHW": (lambda image: image.transpose(2, 0, 1), "channels first, [3, 128, 256]", "image.transpose(1, 2, 0)"),
    "PyTorch": (torch.from_numpy, "an object of type Tensor", "np.asarray(image)"),
    "Pillow": (Image.fromarray, "an object of type Image", "np.asarray(image)"),
    "two channels": (lambda image: image[..., :2], "an array [128, 256, 2]", ""),
    "nothing": (lambda image: image[:0], "an array [0, 256, 3]", ""),
    "a batch": (lambda image: image[None], "an array [1, 128, 256, 3]", ""),
    "a path": (lambda image: "frame.png", "an object of type str", ""),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_frames", [False, True])
def test_an_image_of_another_kind_is_named_and_what_to_pass(
    kind: str, in_frames: bool, segmenter: Segmenter, images: list[Picture]
) -> None:
    convert, problem, code = KINDS[kind]
    given: list[Any] = [images[0], *map(convert, images[1:])]
    if in_frames:
        given = [Frame(index, image, float(index), str(index)) for index, image in enumerate(given)]
    with pytest.raises(InputError) as caught:
        list(segmenter(given))
    assert str(caught.value).startswith(f"frames[1]: {problem}; pass RGB images, uint8 [H, W, 3]")
    assert code in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind, (_, _, code) in KINDS.items() if code])
def test_what_to_pass_is_right(kind: str, images: list[Picture]) -> None:
    """The code in the message is run on the image that it is about."""
    convert, _, code = KINDS[kind]
    given: Any = convert(images[0])
    mended = eval(code, {"image": given, "np": np})
    first, _ = as_frames([mended, mended])
    is_gray = "gray" in kind or "channel" in kind
    np.testing.assert_array_equal(first.image, np.dstack([images[0][..., 0]] * 3) if is_gray else images[0])


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ("clip.mp4", "frames=clip.mp4: a path; pass isomer.media.open_frames of it, or call segment_video"),
        (Path("clip.mp4"), "frames=clip.mp4: a path"),
        (None, "frames: an object of type NoneType; pass RGB images"),
        (np.zeros((64, 64, 3), np.uint8), r"frames: an array \[64, 64, 3\]; pass several images, uint8 \[N, H, W, 3\]"),
    ],
)
def test_what_cannot_be_frames_is_refused_at_once(frames: object, message: str, segmenter: Segmenter) -> None:
    with pytest.raises(InputError, match=message):
        segmenter(frames)  # type: ignore[arg-type]


def test_frames_are_of_one_size_and_at_least_two(segmenter: Segmenter, images: list[Picture]) -> None:
    with pytest.raises(InputError, match=r"^frames\[2\]: \[64, 256, 3\], but those before \[128, 256, 3\]"):
        list(segmenter([images[0], images[1], images[2][:64]]))
    with pytest.raises(InputError, match=r"^frames: only one; motion needs at least two$"):
        list(segmenter(images[:1]))
    with pytest.raises(InputError, match=r"^frames: none"):
        list(segmenter(iter([])))


@pytest.mark.parametrize("buffers", [1, 3])
@pytest.mark.parametrize("in_frames", [False, True])
def test_an_array_may_be_filled_again(
    buffers: int,
    in_frames: bool,
    segmenter: Segmenter,
    images: list[Picture],
    reference: list[NDArray[np.float32]],
) -> None:
    ring = np.empty((buffers, *images[0].shape), np.uint8)

    def refilled() -> Iterator[Frame | Picture]:
        for index, image in enumerate(images):
            buffer = ring[index % buffers]
            buffer[:] = image
            yield Frame(index, buffer, float(index), str(index)) if in_frames else buffer

    found = [result.probability for result in segmenter(refilled())]
    np.testing.assert_array_equal(found, reference)


def test_views_of_other_layouts_are_the_same_images(
    segmenter: Segmenter, images: list[Picture], reference: list[NDArray[np.float32]]
) -> None:
    bgr = [np.ascontiguousarray(image[..., ::-1]) for image in images]
    found = [result.probability for result in segmenter([image[..., ::-1] for image in bgr])]
    np.testing.assert_array_equal(found, reference)
    found = [result.probability for result in segmenter(np.stack(images))]
    np.testing.assert_array_equal(found, reference)


class OneAtATime:
    """An estimator that is no good for two threads at once, and notices."""

    def __init__(self) -> None:
        self._estimate = DISFlow()
        self._busy = threading.Lock()

    def __call__(self, source: Frame, target: Frame) -> NDArray[np.float32]:
        assert self._busy.acquire(blocking=False)
        try:
            return self._estimate(source, target)
        finally:
            self._busy.release()


@pytest.mark.parametrize("flow", ["dis", OneAtATime()])
def test_streams_in_several_threads_give_the_maps_of_one(
    flow: object, network: Isomer, images: list[Picture], reference: list[NDArray[np.float32]]
) -> None:
    shared = Segmenter(network, size=64, device="cpu", flow=flow)  # type: ignore[arg-type]
    found: dict[int, list[NDArray[np.float32]]] = {}

    def work(number: int) -> None:
        found[number] = [result.probability for result in shared(images)]

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(found) == [0, 1, 2]
    for maps in found.values():
        np.testing.assert_allclose(maps, reference, atol=1e-5)


@pytest.mark.parametrize("ahead", [0, 2])
def test_two_streams_in_turn_do_not_mix(ahead: int, network: Isomer, images: list[Picture]) -> None:
    segmenter = Segmenter(network, size=64, device="cpu", ahead=ahead)
    orders = images, images[::-1]
    forward, backward = [[result.probability for result in segmenter(order)] for order in orders]
    for one, other in zip(*map(segmenter, orders), strict=True):
        np.testing.assert_allclose(one.probability, forward[one.index], atol=1e-5)
        np.testing.assert_allclose(other.probability, backward[other.index], atol=1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize("is_new", [False, True])
def test_a_fork_is_refused(is_new: bool, segmenter: Segmenter, network: Isomer, images: list[Picture]) -> None:
    """It would wait for ever for threads that the fork does not have."""

    def child() -> None:
        try:
            list((Segmenter(network) if is_new else segmenter)(images))
        except InputError as error:
            sys.exit(42 if "forked" in str(error) and "\n" not in str(error) else 1)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(60)
    assert process.exitcode == 42


class Drawn:
    """A source that draws its frames, with weak references to all of their images."""

    path, size, fps, count = Path("clip.mp4"), (32, 24), Fraction(25), 6

    def __init__(self) -> None:
        self.images: list[weakref.ref[Picture]] = []

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.count):
            frame = Frame(index, np.full((24, 32, 3), index, np.uint8), float(index), str(index))
            self.images.append(weakref.ref(frame.image))
            yield frame


def test_no_frame_is_held_after_the_next_has_been_taken() -> None:
    """Large ones fill the memory."""
    source = Drawn()
    frames = as_frames(TakenFrames(source))
    copies: list[weakref.ref[Picture]] = []
    for _ in range(3):
        copies.append(weakref.ref(next(frames).image))
    assert [image() is None for image in source.images] == [True, True, False]  # the source's own loop has the third
    assert [image() is None for image in copies[:-1]] == [True, True]

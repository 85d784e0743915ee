"""Frames in, probability maps out, as a stream."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.flow import DISFlow, FlowEstimator, flow_to_image, frames_with_flow
from isomer.media import Frame
from isomer.segment.backends import create_backend
from isomer.segment.prefetch import prefetch

if TYPE_CHECKING:
    from isomer.model.network import Isomer  # importing PyTorch takes longer than OpenVINO's first mask

Probability = NDArray[np.float32]

_T = TypeVar("_T")


class _Input(NamedTuple):
    """A frame with what the network sees of it: two uint8 images [h, w, 3]."""

    frame: Frame
    image: NDArray[np.uint8]
    flow: NDArray[np.uint8]


class Segmenter:
    """Find the primary object of a video in every frame.

    Args:
        model: a model's name, a checkpoint's path, or a network.
        size: the network sees a frame at about `size` x `size` pixels, its aspect kept.
        backend: what runs the network, one of `isomer.segment.BACKENDS`; `auto` says its choice in the log.
        device: a torch device, or `auto`.
        flow: estimates the motion; DIS by default.
        max_step: the largest temporal step of the flow, in frames; see `isomer.flow.frames_with_flow`.
        batch: frames that go through the network together; more delay the stream.
        ahead: frames that reading, flow and network each work ahead, in threads of their own; 0 does all when
            the next map is asked for, in the caller's thread.

    Raises:
        InputError: no such model, back end or device, or an impossible size or batch.
    """

    def __init__(
        self,
        model: str | Path | Isomer = "isomer_mobilenet_v2",
        *,
        size: int = 384,
        backend: str = "auto",
        device: str = "auto",
        flow: FlowEstimator | None = None,
        max_step: int = 4,
        batch: int = 1,
        ahead: int = 2,
    ):
        if not 64 <= size <= 4096:
            raise InputError(f"--size {size}: not between 64 and 4096 pixels; 384 is the default")
        if batch < 1:
            raise InputError(f"batch {batch}: not positive; 1 is the default")
        self._backend = create_backend(model, backend, device)
        self._size = size
        self._flow = flow or DISFlow()
        self._max_step = max_step
        self._batch = batch
        self._ahead = ahead

    def __call__(self, frames: Iterable[Frame | NDArray[np.uint8]]) -> Generator[tuple[int, Probability], None, None]:
        """Stream (frame index, probability map) over a video.

        Args:
            frames: in order, all of one size: `Frame`s, or RGB images, uint8 [H, W, 3]. They are taken from
                a thread unless `ahead` is 0.

        Yields:
            The index and the probability of the primary object, float32 [H, W] in [0, 1].
        """
        with closing(self.predict(_as_frames(frames))) as maps:
            for frame, probability in maps:
                yield frame.index, probability

    def predict(self, frames: Iterable[Frame]) -> Generator[tuple[Frame, Probability], None, None]:
        """Stream each frame with its probability map; see `__call__`. Closing it ends its threads."""
        with ExitStack() as stages:

            def overlapped(items: Iterable[_T]) -> Iterator[_T]:
                return stages.enter_context(closing(prefetch(items, self._ahead)))

            inputs = overlapped(self._inputs(overlapped(frames)))
            for frame, probability in overlapped(self._small_maps(inputs)):
                height, width = frame.image.shape[:2]
                yield frame, resize_map(probability, width, height)

    def warm_up(self, width: int, height: int) -> None:
        """Run the network once for frames of this size, because back ends compile when they first see one."""
        columns, rows = network_size(width, height, self._size, self._backend.stride)
        blank = np.zeros((self._batch, rows, columns, 3), np.uint8)
        self._backend(blank, blank)

    def _inputs(self, frames: Iterable[Frame]) -> Iterator[_Input]:
        for frame, flow in frames_with_flow(frames, self._flow, self._max_step):
            height, width = frame.image.shape[:2]
            size = network_size(width, height, self._size, self._backend.stride)
            yield _Input(frame, resize_image(frame.image, size), resize_image(flow_to_image(flow), size))

    def _small_maps(self, inputs: Iterator[_Input]) -> Iterator[tuple[Frame, Probability]]:
        """Yield each frame with its map at the network's size."""
        while batch := list(islice(inputs, self._batch)):
            frames, images, flows = zip(*batch, strict=True)
            yield from zip(frames, self._backend(np.stack(images), np.stack(flows)), strict=True)


def network_size(width: int, height: int, size: int, stride: int) -> tuple[int, int]:
    """Return (width, height) in whole strides, about with the area `size`^2 and the aspect of the frame."""
    scale = size / math.sqrt(width * height)
    return max(1, round(width * scale / stride)) * stride, max(1, round(height * scale / stride)) * stride


def resize_map(probability: Probability, width: int, height: int) -> Probability:
    """Resize a map [h, w] to [height, width], bilinearly."""
    return cv2.resize(probability, (width, height)).astype(np.float32, copy=False)


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an image [H, W, 3] to (width, height): by area means where that shrinks it, else bilinearly."""
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.astype(np.uint8, copy=False)


def _as_frames(frames: Iterable[Frame | NDArray[np.uint8]]) -> Iterator[Frame]:
    for index, frame in enumerate(frames):
        yield frame if isinstance(frame, Frame) else Frame(index, frame, float(index), f"{index:05d}")

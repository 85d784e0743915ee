"""Frames in, probability maps out, as a stream."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.flow import DISFlow, FlowEstimator, flow_to_image, frames_with_flow
from isomer.media import Frame
from isomer.model.network import Isomer
from isomer.model.zoo import create_model
from isomer.segment.backend import TorchBackend

Probability = NDArray[np.float32]


class Segmenter:
    """Find the primary object of a video in every frame.

    Args:
        model: a model's name, a checkpoint's path, or a network.
        size: the network sees a frame at about `size` x `size` pixels, its aspect kept.
        device: a torch device, or `auto`.
        flow: estimates the motion; DIS by default.
        max_step: the largest temporal step of the flow, in frames; see `isomer.flow.frames_with_flow`.
        batch: frames that go through the network together; more delay the stream.

    Raises:
        InputError: no such model or device, or an impossible size or batch.
    """

    def __init__(
        self,
        model: str | Path | Isomer = "isomer_mobilenet_v2",
        *,
        size: int = 384,
        device: str = "auto",
        flow: FlowEstimator | None = None,
        max_step: int = 4,
        batch: int = 1,
    ):
        if not 64 <= size <= 4096:
            raise InputError(f"--size {size}: not between 64 and 4096 pixels; 384 is the default")
        if batch < 1:
            raise InputError(f"batch {batch}: not positive; 1 is the default")
        network = model if isinstance(model, Isomer) else create_model(model)
        self._backend = TorchBackend(network, device)
        self._stride = network.stride
        self._size = size
        self._flow = flow or DISFlow()
        self._max_step = max_step
        self._batch = batch

    def __call__(self, frames: Iterable[Frame | NDArray[np.uint8]]) -> Iterator[tuple[int, Probability]]:
        """Stream (frame index, probability map) over a video.

        Args:
            frames: in order, all of one size: `Frame`s, or RGB images, uint8 [H, W, 3].

        Yields:
            The index and the probability of the primary object, float32 [H, W] in [0, 1].
        """
        for frame, probability in self.predict(_as_frames(frames)):
            yield frame.index, probability

    def predict(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Probability]]:
        """Stream each frame with its probability map; see `__call__`."""
        pairs = frames_with_flow(frames, self._flow, self._max_step)
        while batch := list(islice(pairs, self._batch)):
            height, width = batch[0][0].image.shape[:2]
            size = network_size(width, height, self._size, self._stride)
            images = np.stack([_resized(frame.image, size) for frame, _ in batch])
            flows = np.stack([_resized(flow_to_image(flow), size) for _, flow in batch])
            for (frame, _), probability in zip(batch, self._backend(images, flows), strict=True):
                yield frame, cv2.resize(probability, (width, height)).astype(np.float32, copy=False)


def network_size(width: int, height: int, size: int, stride: int) -> tuple[int, int]:
    """Return the (width, height) nearest to `size` x `size` in area and to the frame in aspect, in whole strides."""
    scale = size / math.sqrt(width * height)
    return max(1, round(width * scale / stride)) * stride, max(1, round(height * scale / stride)) * stride


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.astype(np.uint8, copy=False)


def _as_frames(frames: Iterable[Frame | NDArray[np.uint8]]) -> Iterator[Frame]:
    for index, frame in enumerate(frames):
        yield frame if isinstance(frame, Frame) else Frame(index, frame, float(index), f"{index:05d}")

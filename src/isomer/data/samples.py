"""Training samples: a frame, its flow image and its mask, as a pure function of (seed, index)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from isomer.data.augment import degrade, random_crop, warp_flow, warp_image
from isomer.data.sequences import VideoSequence
from isomer.data.synthetic.cutouts import SceneSampler
from isomer.data.synthetic.motion import Motion
from isomer.data.synthetic.scene import Image
from isomer.errors import InputError
from isomer.flow import DISFlow, Flow, flow_to_image
from isomer.media.image import read_image
from isomer.media.resize import network_size

_STRIDE = 32  # the sides of wide samples are multiples of the encoders' largest stride
_ATTEMPTS = 10  # after so many unreadable images in a row the data are at fault


@dataclass(frozen=True)
class SampleOptions:
    """How samples are drawn.

    Args:
        sizes: one is drawn for every step; samples have N x N pixels.
        finish_sizes: the same, from step `finish` on.
        finish: the first step of training at those sizes; None for never.
        wide: share of the steps whose samples are 16:9 instead of square, with about as many pixels.
        real: share of samples that come from real videos.
        max_step: real frames are paired 1 to `max_step` frames apart.
        drop_motion: share whose flow image shows no motion.
        motion_from_frame: share whose flow image is the frame itself, so that the flow stream learns shapes.
        drop_appearance: share whose frame is plain gray.
        stored_flow: share of the samples whose video has the pair's flow stored that take it.
        exact_flow: of rendered scenes, take the true flow instead of an estimate.
        strict: stop at an unreadable image instead of drawing another sample.
    """

    sizes: Sequence[int] = (224,)
    finish_sizes: Sequence[int] = ()
    finish: int | None = None
    wide: float = 0.0
    real: float = 0.15
    max_step: int = 1
    drop_motion: float = 0.06
    motion_from_frame: float = 0.06
    drop_appearance: float = 0.0
    stored_flow: float = 1.0
    exact_flow: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Batch:
    """Samples of one size.

    Args:
        frame: uint8 [B, 3, H, W].
        flow: the flow images, uint8 [B, 3, H, W].
        mask: uint8 [B, 1, H, W]: 255 object, 0 background, 128 unknown.
        sources: the files that each sample was made of.
        skipped: what was wrong with images left out on the way.
    """

    frame: Tensor
    flow: Tensor
    mask: Tensor
    sources: list[tuple[str, ...]]
    skipped: list[str]

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, from where copies to a GPU overlap with its work."""
        images = (self.frame.pin_memory(), self.flow.pin_memory(), self.mask.pin_memory())
        return Batch(*images, self.sources, self.skipped)


@dataclass(frozen=True)
class _Sample:
    frame: Image
    flow: Image
    mask: NDArray[np.uint8]
    sources: tuple[str, ...]
    skipped: tuple[str, ...] = ()


class TrainingSamples(Dataset[_Sample]):
    """Pairs of frames, rendered or real, with the flow between them, an endless stream by index.

    Sample i is a function of (seed, i) alone: it does not depend on the order, the worker, or the process.
    Flow is what DIS estimates on the degraded pair, except where a real sequence has its vectors stored and
    `options.stored_flow` lets them be taken, or where `options.exact_flow` asks for the true one of a scene.

    Args:
        scenes: draws synthetic scenes; not needed where `options.real` is 1.
        videos: real sequences; not needed where `options.real` is 0.
        weights: how often each of them is drawn, relatively.
        options: how samples are drawn.
        batch: samples a step; those of a step are of one size.
        seed: of the stream.
    """

    def __init__(
        self,
        scenes: SceneSampler | None,
        videos: Sequence[VideoSequence],
        weights: Sequence[float],
        options: SampleOptions,
        batch: int,
        seed: int,
    ):
        self.scenes, self.videos, self.options, self.batch, self.seed = scenes, videos, options, batch, seed
        self._weights = np.asarray(weights, np.float64) / max(sum(weights), 1e-9)
        self._pairs = [
            {step: pairs for step in range(1, options.max_step + 1) if (pairs := video.pairs(step))} for video in videos
        ]
        for video, by_step in zip(videos, self._pairs, strict=True):
            if not by_step:
                raise InputError(f"{video.frames[0].parent}: no two consecutive frames; leave the sequence out")

    def __getitem__(self, index: int) -> _Sample:
        """Draw sample `index`.

        Raises:
            InputError: `options.strict` and an image cannot be read, or too many cannot.
        """
        size = self._size(index // self.batch)
        skipped: list[str] = []
        while True:
            rng = np.random.default_rng((self.seed, 0, index, len(skipped)))
            try:
                frame, flow, mask, sources = self._draw(rng, size)
                return _Sample(frame, flow, mask, sources, tuple(skipped))
            except InputError as error:
                skipped.append(str(error))
                if self.options.strict or len(skipped) == _ATTEMPTS:
                    raise

    def _size(self, step: int) -> tuple[int, int]:
        """Draw the width and height of a step's samples."""
        options, rng = self.options, np.random.default_rng((self.seed, 1, step))
        sizes = options.sizes if options.finish is None or step < options.finish else options.finish_sizes
        size = sizes[int(rng.integers(len(sizes)))]
        return network_size(16, 9, size, _STRIDE) if rng.random() < options.wide else (size, size)

    def _draw(
        self, rng: np.random.Generator, size: tuple[int, int]
    ) -> tuple[Image, Image, NDArray[np.uint8], tuple[str, ...]]:
        real = bool(self.videos) and rng.random() < self.options.real
        first, second, mask, vectors, sources = self._real(rng, size) if real else self._rendered(rng, size)
        first, second = degrade(rng, first, second)
        image = flow_to_image(_estimator().between(first, second) if vectors is None else vectors)
        # Of large frames the estimator returns a coarser grid.
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
        draw, options = rng.random(), self.options
        if draw < options.drop_motion:
            image = np.full_like(image, 255)
        elif draw < options.drop_motion + options.motion_from_frame:
            image = first
        elif draw < options.drop_motion + options.motion_from_frame + options.drop_appearance:
            first = np.full_like(first, 127)
        return first, image, mask, sources

    def _rendered(
        self, rng: np.random.Generator, size: tuple[int, int]
    ) -> tuple[Image, Image, NDArray[np.uint8], Flow | None, tuple[str, ...]]:
        assert self.scenes is not None
        scene = self.scenes(rng, size)
        first, mask = scene.render(0)
        vectors = scene.flow(0, 1) if self.options.exact_flow else None
        return first, scene.render(1)[0], mask, vectors, scene.sources

    def _real(
        self, rng: np.random.Generator, size: tuple[int, int]
    ) -> tuple[Image, Image, NDArray[np.uint8], Flow | None, tuple[str, ...]]:
        """Crop a pair of real frames and let a synthetic camera move over them."""
        number = int(rng.choice(len(self.videos), p=self._weights))
        video, by_step = self.videos[number], self._pairs[number]
        step = list(by_step)[rng.integers(len(by_step))]
        first_path, second_path = by_step[step][rng.integers(len(by_step[step]))]
        first, second, mask = read_image(first_path), read_image(second_path), video.mask(first_path)
        if not first.shape[:2] == second.shape[:2] == mask.shape:
            raise InputError(f"{first_path}: not of the size of the next frame and its mask; replace it")

        height, width = mask.shape
        crop = random_crop(rng, (width, height), size)
        centre = (size[0] / 2, size[1] / 2)
        camera = Motion(centre)
        if rng.random() < 0.6:
            shift = (float(rng.normal(0, 0.015 * size[0])), float(rng.normal(0, 0.008 * size[1])))
            camera = Motion(centre, shift, rng.normal(0, 0.005), rng.normal(0, 0.008))
        moved = camera.matrix(1)
        stored = video.stored_flow(first_path, step) if rng.random() < self.options.stored_flow else None
        vectors = None if stored is None else warp_flow(stored, (width, height), crop, size, moved)
        return (
            warp_image(first, crop, size),
            warp_image(second, moved @ crop, size),
            warp_image(mask, crop, size, nearest=True),
            vectors,
            (str(first_path), str(second_path)),
        )


@cache
def _estimator() -> DISFlow:
    return DISFlow()  # one a process: OpenCV's objects cannot be sent to workers


def collate(samples: Sequence[_Sample]) -> Batch:
    """Put samples together."""
    frame, flow, mask = (
        torch.from_numpy(np.stack([getattr(sample, name) for sample in samples])) for name in ("frame", "flow", "mask")
    )
    # The channels come last in memory, which convolutions on CPU and tensor cores like.
    frame, flow = frame.permute(0, 3, 1, 2), flow.permute(0, 3, 1, 2)
    skipped = [message for sample in samples for message in sample.skipped]
    return Batch(frame, flow, mask[:, None], [sample.sources for sample in samples], skipped)

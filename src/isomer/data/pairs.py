"""Training samples: a frame, its flow image and its mask, as a pure function of (seed, index)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from isomer.data.sources import RealPair
from isomer.data.synthetic import Image, Motion, SceneSampler
from isomer.flow import DISFlow, flow_to_image

_UNKNOWN = 128


@dataclass(frozen=True)
class PairOptions:
    """How pairs are drawn.

    Args:
        size: side of the square samples, in pixels.
        real: share of samples that come from real videos.
        drop_motion: share whose flow image shows no motion.
        motion_from_frame: share whose flow image is the frame itself, so that the flow stream learns shapes.
    """

    size: int = 224
    real: float = 0.15
    drop_motion: float = 0.06
    motion_from_frame: float = 0.06


class TrainingPairs(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Pairs of frames, rendered or real, with the flow that DIS estimates on them.

    Sample i is a function of (seed, i) alone: it does not depend on the order, the worker or the epoch.

    Args:
        scenes: draws synthetic scenes of `options.size`.
        videos: real pairs, a list a sequence.
        options: how pairs are drawn.
        length: number of samples.
        seed: of the stream.
    """

    def __init__(
        self,
        scenes: SceneSampler,
        videos: Sequence[Sequence[RealPair]],
        options: PairOptions,
        length: int,
        seed: int,
    ):
        self.scenes, self.videos, self.options, self.length, self.seed = scenes, videos, options, length, seed
        self._flow = DISFlow()

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return frame and flow image, uint8 [3, S, S], and mask, uint8 [1, S, S]: 255, 0 or 128 (unknown)."""
        rng = np.random.default_rng((self.seed, index))
        real = self.videos and rng.random() < self.options.real
        first, second, mask = self._real(rng) if real else self._rendered(rng)
        first, second = degrade(rng, first, second)
        image = flow_to_image(self._flow.between(first, second))
        draw = rng.random()
        if draw < self.options.drop_motion:
            image = np.full_like(image, 255)
        elif draw < self.options.drop_motion + self.options.motion_from_frame:
            image = first
        return _tensor(first), _tensor(image), _tensor(mask[..., None])

    def _rendered(self, rng: np.random.Generator) -> tuple[Image, Image, NDArray[np.uint8]]:
        scene = self.scenes(rng)
        first, mask = scene.render(0)
        return first, scene.render(1)[0], mask

    def _real(self, rng: np.random.Generator) -> tuple[Image, Image, NDArray[np.uint8]]:
        """Crop a pair of real frames and let a synthetic camera move over them."""
        sequence = self.videos[rng.integers(len(self.videos))]
        pair = sequence[rng.integers(len(sequence))]
        side = self.options.size
        height, width = pair.mask.shape
        scale = side / min(height, width) * np.exp(rng.uniform(0, 0.6))
        x, y = rng.random() * (side - width * scale), rng.random() * (side - height * scale)
        placement = np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]])
        if rng.random() < 0.5:
            placement = np.array([[-1.0, 0, side - 1], [0, 1, 0], [0, 0, 1]]) @ placement
        camera = Motion((side / 2, side / 2))
        if rng.random() < 0.6:
            shift = (float(rng.normal(0, 0.015 * side)), float(rng.normal(0, 0.008 * side)))
            camera = Motion((side / 2, side / 2), shift, rng.normal(0, 0.005), rng.normal(0, 0.008))
        size = (side, side)

        def warp(image: NDArray[np.uint8], matrix: NDArray[np.float64], flags: int) -> NDArray[np.uint8]:
            border = cv2.BORDER_REFLECT_101
            warped = cv2.warpAffine(image, matrix[:2], size, flags=flags, borderMode=border)
            return warped.astype(np.uint8, copy=False)

        mask = warp(pair.mask, placement, cv2.INTER_NEAREST)
        second = warp(pair.second, camera.matrix(1) @ placement, cv2.INTER_LINEAR)
        return warp(pair.first, placement, cv2.INTER_LINEAR), second, mask


def degrade(rng: np.random.Generator, first: Image, second: Image) -> tuple[Image, Image]:
    """Distort light and colour of both frames alike, and blur, noise and compression of each."""
    gain, offset, gamma = np.exp(rng.normal(0, 0.15)), rng.normal(0, 12), np.exp(rng.normal(0, 0.2))
    levels = 255 * (np.arange(256) / 255) ** gamma
    tint = np.exp(rng.normal(0, 0.04, 3))
    table = np.clip(levels[:, None] * gain * tint + offset, 0, 255).astype(np.uint8)[:, None]
    saturation = float(np.clip(rng.normal(1, 0.3), 0, 1.6)) if rng.random() < 0.5 else 1.0
    blur = rng.uniform(0.4, 1.6) if rng.random() < 0.25 else 0.0
    noise = rng.uniform(1, 8) if rng.random() < 0.3 else 0.0
    quality = int(rng.integers(30, 90)) if rng.random() < 0.35 else None

    def distort(image: Image) -> Image:
        image = cv2.LUT(image, table)
        if saturation != 1:
            gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            image = cv2.addWeighted(image, saturation, gray, 1 - saturation, 0)
        if blur:
            image = cv2.GaussianBlur(image, (0, 0), blur)
        if noise:
            image = np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
        if quality is not None:
            image = cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
        return image.astype(np.uint8, copy=False)

    return distort(first), distort(second)


def _tensor(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))

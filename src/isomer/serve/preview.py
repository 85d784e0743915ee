"""The video behind the page: each frame above its probability map, so that the two are always in step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.files import Stage
from isomer.media import Look, Output, Segmented
from isomer.media.containers import Container, h264
from isomer.media.frame import Source, display_size

_Number = TypeVar("_Number", np.uint8, np.float32)

_PIXELS = 960 * 540
"""Of one half at most."""


@dataclass
class _Stacked:
    """What is known of frames above their maps; see `Source`."""

    path: Path
    size: tuple[int, int]
    fps: Fraction
    count: int | None


def preview_output(source: Source) -> Output:
    """Return the output of frame and map, stacked: H.264 with a key frame every 12, for quick seeking.

    The page blends the two. Halves larger than 960 x 540 in area are made smaller; both sides are even, and pixels
    square.
    """
    width, height = preview_size(*display_size(source))

    def stack(result: Segmented, look: Look) -> NDArray[np.uint8]:
        levels = np.rint(_resized(result.probability, (width, height)) * 255).astype(np.uint8)
        return np.vstack((_resized(result.image, (width, height)), cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB)))

    def contain(path: Path, source: Source, stage: Stage) -> Container:
        stacked = _Stacked(source.path, (width, 2 * height), source.fps, source.count)
        return h264(path, stacked, stage, crf="22", g="12")

    return Output(stack, contain, "_preview.mp4", "H.264 video, each frame above its map", shows_video=True)


def preview_size(width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) of one half of the preview."""
    scale = min(1.0, math.sqrt(_PIXELS / (width * height)))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _resized(image: NDArray[_Number], size: tuple[int, int]) -> NDArray[_Number]:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(image.dtype, copy=False)

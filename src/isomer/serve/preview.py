"""The video behind the page: each frame above its probability map, so that the two are always in step."""

from __future__ import annotations

import math
from typing import ClassVar, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media import Labels
from isomer.media.frame import Source, display_size
from isomer.media.writer import VideoWriter

_Number = TypeVar("_Number", np.uint8, np.float32)

_PIXELS = 960 * 540
"""Of one half at most."""


class PreviewWriter(VideoWriter):
    """Frame and map, stacked: H.264 with a key frame every 12, for quick seeking. The page blends the two.

    Halves larger than 960 x 540 in area are made smaller; both sides are even, and pixels square.
    """

    _codec_options: ClassVar[dict[str, str]] = {**VideoWriter._codec_options, "crf": "22", "g": "12"}
    _tells_pixel_aspect = False

    def _picture_size(self, source: Source) -> tuple[int, int]:
        self._half = preview_size(*display_size(source))
        return self._half[0], 2 * self._half[1]

    def _picture(
        self, image: NDArray[np.uint8], probability: NDArray[np.float32], labels: Labels | None
    ) -> NDArray[np.uint8]:
        levels = np.rint(_resized(probability, self._half) * 255).astype(np.uint8)
        return np.vstack((_resized(image, self._half), cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB)))


def preview_size(width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) of one half of the preview."""
    scale = min(1.0, math.sqrt(_PIXELS / (width * height)))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _resized(image: NDArray[_Number], size: tuple[int, int]) -> NDArray[_Number]:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(image.dtype, copy=False)

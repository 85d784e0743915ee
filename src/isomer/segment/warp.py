"""Images and maps of one frame as another frame of the video shows them, looked up along the optical flow."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow import Flow

_Image = TypeVar("_Image", NDArray[np.uint8], NDArray[np.float32])


def moved(other: _Image, flow: Flow) -> _Image:
    """Return an image or map [h, w] of the other frame where this one shows it.

    Args:
        other: what is looked up; beyond its border the border goes on.
        flow: to the other frame, float32 [h, w, 2], in pixels.
    """
    there = flow + _grid(*flow.shape[:2])
    no_map: Any = None  # both coordinates are in the first one; None, which OpenCV's stubs do not know
    found = cv2.remap(other, there, no_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.astype(other.dtype, copy=False)


def resize_map(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resize a map [h, w] to [height, width], bilinearly."""
    return cv2.resize(values, (width, height)).astype(np.float32, copy=False)


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> NDArray[np.float32]:
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)

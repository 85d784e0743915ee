"""Images and maps of one frame as another frame of the video shows them, looked up along the optical flow."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow import Flow

_Image = TypeVar("_Image", NDArray[np.uint8], NDArray[np.float32])


def resize_map(values: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resize a map [h, w] to [height, width], bilinearly."""
    return cv2.resize(values, (width, height)).astype(np.float32, copy=False)


def lookup(flow: Flow, height: int, width: int) -> NDArray[np.float32]:
    """Return where in the other frame each pixel of a grid is.

    Args:
        flow: to the other frame, float32 [h, w, 2] in pixels of its own grid.
        height: of the grid.
        width: of the grid.

    Returns:
        float32 [height, width, 2], (x, y) in pixels of the grid.
    """
    rows, columns = flow.shape[:2]
    if (rows, columns) == (height, width):
        return np.asarray(flow + _grid(height, width), np.float32)
    scaled = flow * np.array([width / columns, height / rows], np.float32)
    there = cv2.resize(scaled, (width, height)).astype(np.float32, copy=False)
    there += _grid(height, width)
    return there


def moved(other: _Image, there: NDArray[np.float32]) -> _Image:
    """Return an image or map of the other frame as the lookup shows it; beyond its border the border goes on."""
    nothing = np.empty(0, np.float32)  # both coordinates are in the first map
    found = cv2.remap(other, there, nothing, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.astype(other.dtype, copy=False)


@lru_cache(maxsize=4)
def _grid(height: int, width: int) -> NDArray[np.float32]:
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)

"""Images at the sizes that networks take."""

from __future__ import annotations

import math
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

_Level = TypeVar("_Level", np.uint8, np.float32)


def network_size(width: int, height: int, size: int, stride: int, fewest: int = 1) -> tuple[int, int]:
    """Return (width, height) in whole strides, about with the area `size`^2 and the aspect of the frame.

    Args:
        width: of the frame.
        height: of the frame.
        size: side of the square of the same area.
        stride: of the network.
        fewest: strides that a side has at least, whatever the aspect.
    """
    scale = size / math.sqrt(width * height)
    columns, rows = (max(fewest, round(side * scale / stride)) for side in (width, height))
    return columns * stride, rows * stride


def shrink(image: NDArray[_Level], size: tuple[int, int]) -> NDArray[_Level]:
    """Shrink an image or a map [H, W, ...] to (width, height), about by area means but in a fraction of the time.

    Bilinear look-ups skip pixels below a half, and means of 2 x 2 are the only fast ones: so first to so many times the
    size, then halved.
    """
    width, height = size
    doublings = max(math.ceil(math.log2(image.shape[0] / height)) - 1, 0)
    result = cv2.resize(image, (width << doublings, height << doublings))
    for doubling in reversed(range(doublings)):
        result = cv2.resize(result, (width << doubling, height << doubling), interpolation=cv2.INTER_AREA)
    return result.astype(image.dtype, copy=False)


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an image [H, W, 3] to (width, height): by area means where that shrinks it, else bilinearly."""
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.astype(np.uint8, copy=False)

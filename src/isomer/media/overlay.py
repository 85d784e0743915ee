"""The picture a person looks at: the object tinted and outlined, the rest dimmed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media.image import DAVIS_PALETTE
from isomer.media.labels import Labels, object_numbers

TINT = (0, 150, 255)
"""RGB, a blue that few natural objects have."""

_TINT_SHARE, _OUTLINE_SHARE = 0.42, 0.3
_DIM = 0.45 * np.eye(3) + 0.3 * np.array([0.299, 0.587, 0.114])  # of the colours, and of their luma
_LEVELS = np.arange(256)[:, None]


def overlay(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tint and outline the object of an image and dim the rest.

    Args:
        image: uint8 RGB [H, W, 3].
        mask: uint8 [H, W], 0 or 255.

    Returns:
        A new uint8 RGB image [H, W, 3].
    """
    result = _dimmed(image)
    _show(result, image, mask, TINT)
    return result


def overlay_objects(image: NDArray[np.uint8], labels: Labels) -> NDArray[np.uint8]:
    """Tint and outline each object in its colour of the DAVIS palette and dim the rest.

    Args:
        image: uint8 RGB [H, W, 3].
        labels: uint8 [H, W], the number of the object at each pixel, 0 for none.

    Returns:
        A new uint8 RGB image [H, W, 3].
    """
    result = _dimmed(image)
    for number in object_numbers(labels):
        red, green, blue = DAVIS_PALETTE[number].tolist()
        _show(result, image, np.where(labels == number, np.uint8(255), np.uint8(0)), (red, green, blue))
    return result


def _dimmed(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.transform(image, _DIM), np.uint8)


def _show(
    result: NDArray[np.uint8], image: NDArray[np.uint8], mask: NDArray[np.uint8], colour: tuple[int, int, int]
) -> None:
    """Draw an object of `image` into `result`."""
    left, top, width, height = cv2.boundingRect(mask)
    box = (slice(top, top + height), slice(left, left + width))
    tinted = np.rint(_LEVELS + (np.array(colour) - _LEVELS) * _TINT_SHARE).astype(np.uint8)[None]
    cv2.copyTo(cv2.LUT(image[box], tinted), mask[box], result[box])
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    outline = [round(255 + (level - 255) * _OUTLINE_SHARE) for level in colour]
    thickness = max(1, round(min(mask.shape) / 240))
    cv2.drawContours(result, contours, -1, outline, thickness, cv2.LINE_AA)

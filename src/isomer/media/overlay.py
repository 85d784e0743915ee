"""The picture a person looks at: the object tinted and outlined, the rest dimmed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

TINT = (0, 150, 255)
"""RGB, a blue that few natural objects have."""

_TINT_SHARE, _OUTLINE_SHARE = 0.42, 0.3
_OUTLINE = tuple(round(255 + (colour - 255) * _OUTLINE_SHARE) for colour in TINT)
_LEVELS = np.arange(256)[:, None]
_TINTED = np.rint(_LEVELS + (np.array(TINT) - _LEVELS) * _TINT_SHARE).astype(np.uint8)[None]


def overlay(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Tint and outline the object of an image and dim the rest.

    Args:
        image: uint8 RGB [H, W, 3].
        mask: uint8 [H, W], 0 or 255.

    Returns:
        A new uint8 RGB image [H, W, 3].
    """
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    result = cv2.addWeighted(image, 0.45, gray, 0.3, 0)
    cv2.copyTo(cv2.LUT(image, _TINTED), mask, result)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(min(mask.shape) / 240))
    cv2.drawContours(result, contours, -1, _OUTLINE, thickness, cv2.LINE_AA)
    return np.asarray(result, np.uint8)

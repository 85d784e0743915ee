"""What promptable segmenters and matting tools ask for: a box, points on and off an object, its mask."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media.labels import Labels
from isomer.media.rle import encode_rle

_POSITIVE, _NEGATIVE = 3, 3
"""The most points on an object and off it."""
_LEAST_REACH = 8.0
"""Pixels from a small object within which points off it are."""


def prompt_of(labels: Labels, number: int) -> dict[str, Any]:
    """Describe an object that is in a frame, such that a segmenter finds it.

    Args:
        labels: uint8 [H, W], the objects of the frame.
        number: of the object.

    Returns:
        `box`: [left, top, right, bottom] in pixels, the last two past the object.
        `points`: [[x, y], ...], pixels from the top left corner: first those on the object, then those that are near
        it, on no object.
        `point_labels`: 1 or 0 for each point, on or off the object.
        `mask`: `isomer.media.rle.RLE`.
    """
    mask = np.asarray(labels == number, np.uint8)
    x, y, width, height = cv2.boundingRect(mask)
    positive, depth = deepest_points(mask, _POSITIVE)
    negative, _ = deepest_points(_surroundings(mask, labels, max(2 * depth, _LEAST_REACH)), _NEGATIVE)
    return {
        "box": [x, y, x + width, y + height],
        "points": positive + negative,
        "point_labels": [1] * len(positive) + [0] * len(negative),
        "mask": encode_rle(mask),
    }


def clearness(labels: Labels, levels: NDArray[np.uint8], number: int) -> float:
    """Say how clearly an object is seen: the share of the frame that it takes times its mean probability.

    Half of that where it touches the border of the frame, beyond which it may go on.

    Args:
        labels: uint8 [H, W], the objects of the frame.
        levels: uint8 [H, W], 255 times the probability.
        number: of the object.
    """
    inside = labels == number
    seen = float(levels[inside].sum(dtype=np.int64)) / 255 / labels.size
    is_cut = any(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
    return seen / 2 if is_cut else seen


def deepest_points(region: NDArray[np.uint8], count: int) -> tuple[list[list[int]], float]:
    """Choose points far inside a region and far from each other.

    Each is the pixel farthest from the nearest pixel that is outside, beyond the border, or chosen before.

    Args:
        region: uint8 [H, W], of which all but 0 is inside.
        count: the most points.

    Returns:
        The points, [[x, y], ...], and the first's distance in pixels, 0 where there is none.
    """
    x, y, width, height = cv2.boundingRect(region)
    left = np.pad(region[y : y + height, x : x + width], 1)
    points: list[list[int]] = []
    first = 0.0
    while len(points) < count and left.any():
        squares = _squared_distances(left)
        row, column = (int(place) for place in np.unravel_index(np.argmax(squares), squares.shape))
        first = first or float(np.sqrt(squares[row, column]))
        points.append([x + column - 1, y + row - 1])
        left[row, column] = 0
    return points, first


def _surroundings(mask: NDArray[np.uint8], labels: Labels, reach: float) -> NDArray[np.uint8]:
    """Return what is within reach of an object and on none: uint8 0/1 [H, W]."""
    is_near = _squared_distances(1 - mask) <= round(reach**2)
    return np.asarray(is_near & (labels == 0), np.uint8)


def _squared_distances(region: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return squared distances from the nearest 0, whole numbers: OpenCV's roots vary in the last digit."""
    distances = cv2.distanceTransform(region, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float64)
    return np.rint(distances**2).astype(np.int64)

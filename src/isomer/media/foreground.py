"""The colours of an object where a picture mixes them with those behind it.

Germer et al., "Fast multi-level foreground estimation", ICPR 2020: colours of both sides that give the picture, smooth
where opacity is, found on coarse grids first. Only pixels that are of both sides are worked on.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media.frame import Pixels
from isomer.media.resize import resize_image

Colours = NDArray[np.float32]

_MOST = 2**20
"""Pixels of the finest grid; a larger frame's own pixels are found from it, one by one."""
_SMOOTH, _SMOOTH_AT_EDGES = np.float32(1e-5), np.float32(1)  # weight of neighbours, and more by how opacities differ
_SMALL = 32  # side in pixels of grids that take more rounds
_ROWS = 128  # of the frame whose own pixels are found at once


def estimate_foreground(image: Pixels, alpha: NDArray[np.uint8], reach: int = 8) -> Pixels:
    """Return the object's own colours, RGB [H, W, 3] of the image's type.

    They are the picture's where the object is opaque, likely ones where it is not and around it, and black beyond.

    Args:
        image: RGB [H, W, 3], uint8 or uint16.
        alpha: opacity, uint8 [H, W].
        reach: how far around the object, in pixels, there are colours: encoders and editors mix neighbouring pixels.
    """
    result = np.zeros_like(image)
    near = cv2.dilate(alpha, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    left, top, width, height = cv2.boundingRect(near)
    if not width:
        return result
    box = slice(top, top + height), slice(left, left + width)
    colours, image, alpha, near = result[box], image[box], alpha[box], near[box]
    scale = min(1.0, (_MOST / alpha.size) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    grid = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    sides = _both_sides(resize_image(image, size), grid)
    step = height / size[1]
    for first in range(0, height, _ROWS):
        last = min(first + _ROWS, height)
        low, high = max(int(first / step) - 1, 0), min(int(last / step) + 2, size[1])
        start, end = round(low * step), round(high * step)
        finer = np.asarray(cv2.resize(sides[low:high], (width, end - start)), np.float32)[first - start : last - start]
        rows = slice(first, last)
        cv2.copyTo(image[rows], alpha[rows], colours[rows])
        mixed = (near[rows] > 0) & (alpha[rows] < 255)
        colours[rows][mixed] = _own(finer[mixed], image[rows][mixed], alpha[rows][mixed])
    return result


def _own(sides: Colours, image: Pixels, alpha: NDArray[np.uint8]) -> Pixels:
    """Return the object's colours [N, 3] for which both sides, [N, 6] from a coarser grid, give the picture's."""
    share = alpha[:, None] / np.float32(255)
    missing = image - share * sides[:, :3] - (1 - share) * sides[:, 3:]
    found = sides[:, :3] + missing * share / (share**2 + (1 - share) ** 2)
    return np.asarray(np.clip(np.rint(found), 0, np.iinfo(image.dtype).max), image.dtype)


def _both_sides(image: Pixels, alpha: NDArray[np.uint8]) -> Colours:
    """Return the colours of the object and of what is behind it: float32 [h, w, 6]."""
    opacity = alpha / np.float32(255)
    white = np.iinfo(image.dtype).max
    sides = np.array([*cv2.mean(image, alpha)[:3], *cv2.mean(image, 255 - alpha)[:3]], np.float32).reshape(1, 1, 6)
    for width, height in _sizes(*image.shape[1::-1]):
        nearest = cv2.INTER_NEAREST
        shown = cv2.resize(image, (width, height), interpolation=nearest).astype(np.float32)
        share = cv2.resize(opacity, (width, height), interpolation=nearest)
        sides = np.asarray(cv2.resize(sides, (width, height), interpolation=nearest), np.float32)
        sides = sides.reshape(height, width, 6)
        np.copyto(sides[..., :3], shown, where=share[..., None] == 1)
        np.copyto(sides[..., 3:], shown, where=share[..., None] == 0)
        _relax(sides, shown, share, white, rounds=10 if max(width, height) <= _SMALL else 2)
    return sides


def _sizes(width: int, height: int) -> Iterator[tuple[int, int]]:
    """Yield the (width, height) of ever finer grids, each side growing by about the same share."""
    levels = max(1, int(np.ceil(np.log2(max(width, height)))))
    for level in range(levels + 1):
        yield round(width ** (level / levels)), round(height ** (level / levels))


def _relax(sides: Colours, image: Colours, alpha: NDArray[np.float32], white: int, rounds: int) -> None:
    """Improve the colours of both sides, [h, w, 6], where the picture is of both, as on the squares of a chessboard."""
    height, width = alpha.shape
    y, x = np.nonzero((alpha > 0) & (alpha < 1))
    flat, shown, opacity = sides.reshape(-1, 6), image.reshape(-1, 3), alpha.reshape(-1)
    squares = []
    for colour in (0, 1):
        row, column = (axis[(x + y) % 2 == colour] for axis in (y, x))
        here = row * width + column
        beside = [
            np.maximum(row - 1, 0) * width + column,
            np.minimum(row + 1, height - 1) * width + column,
            row * width + np.maximum(column - 1, 0),
            row * width + np.minimum(column + 1, width - 1),
        ]
        share = opacity[here]
        weights = [_SMOOTH + _SMOOTH_AT_EDGES * np.abs(share - opacity[other])[:, None] for other in beside]
        squares.append((here, beside, weights, sum(weights), share[:, None], shown[here]))
    for _ in range(rounds):
        for here, beside, weights, weight, share, picture in squares:
            around = sum(part * flat[other] for part, other in zip(weights, beside, strict=True)) / weight
            missing = picture - share * around[:, :3] - (1 - share) * around[:, 3:]
            missing /= share**2 + (1 - share) ** 2 + weight
            around += np.concatenate([share * missing, (1 - share) * missing], 1)
            flat[here] = np.clip(around, 0, white)

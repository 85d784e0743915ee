"""Masks as polygons, and back."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
"""float64 [N, 2], x and y; whole numbers are corners of pixels, so that pixel (0, 0) spans 0 to 1."""


def mask_to_polygons(mask: NDArray[np.uint8], tolerance: float = 1.0) -> list[Polygon]:
    """Outline a mask by one polygon for each part that is connected over edges.

    A hole is joined to its outline by a cut of no width, since annotation formats have no holes.

    Args:
        mask: uint8 [H, W], of which all but 0 is object.
        tolerance: how far, in pixels, an outline may leave the pixels' edges for fewer points; 0 is exact.
    """
    count, parts, stats, _ = cv2.connectedComponentsWithStats((mask != 0).astype(np.uint8), connectivity=4)
    polygons = []
    for part in range(1, count):
        x, y, width, height = stats[part, : cv2.CC_STAT_AREA]
        loops = _edge_loops(parts[y : y + height, x : x + width] == part)
        loops.sort(key=_signed_area, reverse=True)
        outline, *holes = (_simplified(loop, tolerance) for loop in loops)
        polygons.append(np.add(joined([outline, *holes]), (x, y)))
    return polygons


def joined(polygons: Sequence[Polygon]) -> Polygon:
    """Make one polygon of several by cuts of no width; there is at least one."""
    whole, *others = polygons
    for other in others:
        whole = _with(whole, other)
    return whole


def polygons_to_mask(polygons: Sequence[Polygon], size: Sequence[int]) -> NDArray[np.uint8]:
    """Fill polygons: a pixel is of the object where its centre is inside any of them, by the even-odd rule.

    Args:
        polygons: parts of one object.
        size: (height, width).

    Returns:
        uint8 0/1 [H, W].
    """
    mask = np.zeros(size, np.uint8)
    for polygon in polygons:
        mask |= _filled(polygon, size)
    return mask


def _filled(polygon: Polygon, size: Sequence[int]) -> NDArray[np.uint8]:
    height, width = size
    parity = np.zeros((height, width + 1), np.uint8)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        (top, left), (bottom, right) = sorted(((y0, x0), (y1, x1)))
        first, last = (int(np.clip(np.ceil(y - 0.5), 0, height)) for y in (top, bottom))
        rows = np.arange(first, last)  # those whose centres the edge crosses
        if len(rows):
            crossings = left + (rows + 0.5 - top) * (right - left) / (bottom - top)
            parity[rows, np.clip(np.ceil(crossings - 0.5), 0, width).astype(int)] ^= 1
    return np.bitwise_xor.accumulate(parity[:, :width], axis=1)


def _edge_loops(inside: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Trace where inside meets outside: loops of corners [N, 2], clockwise on screen, holes the other way."""
    padded = np.pad(inside, 1)
    width = padded.shape[1]
    here = padded[1:, 1:]
    above, left = padded[:-1, 1:], padded[1:, :-1]
    # An edge is 4 x its first corner + its direction: right, down, left or up, with inside to its right.
    step = (1, width, -1, -width)
    top, bottom = (np.flatnonzero(_corners(edge)) for edge in (here & ~above, above & ~here))
    leading, trailing = (np.flatnonzero(_corners(edge)) for edge in (here & ~left, left & ~here))
    starts = [4 * top, 4 * trailing + 1, 4 * (bottom + 1) + 2, 4 * (leading + width) + 3]
    edges = dict.fromkeys(np.concatenate(starts).tolist(), False)
    loops = []
    for start in edges:
        corners: list[int] = []
        edge, previous = start, -1
        while not edges[edge]:
            edges[edge] = True
            corner, direction = divmod(edge, 4)
            if direction != previous:
                corners.append(corner)
            previous = direction
            # Where two parts touch at a corner the first turn, to the right, stays with the part.
            turns = (4 * (corner + step[direction]) + (direction + turn) % 4 for turn in (1, 0, 3))
            edge = next(turn for turn in turns if turn in edges)
        if corners:
            if start % 4 == previous:  # the loop began amid a straight
                corners.pop(0)
            loops.append(np.stack(np.divmod(np.array(corners), width)[::-1], axis=1))
    return loops


def _corners(edge: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Put what belongs to corner (y, x) of the unpadded mask at [y, x] of a grid of the padded one's size."""
    return np.pad(edge, ((0, 1), (0, 1)))


def _signed_area(loop: NDArray[np.int64]) -> float:
    x, y = loop.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2


def _simplified(loop: NDArray[np.int64], tolerance: float) -> Polygon:
    """Douglas and Peucker's fewer points, unless too few are left to span an area."""
    fewer = cv2.approxPolyDP(loop.astype(np.int32), tolerance, closed=True)[:, 0]
    return np.asarray(fewer if len(fewer) > 2 else loop, np.float64)


def _with(outline: Polygon, other: Polygon) -> Polygon:
    """Go from the outline's corner nearest to the other, a hole or a part, around that and back."""
    distances = ((outline[:, None] - other[None]) ** 2).sum(-1)
    leave, enter = np.unravel_index(np.argmin(distances), distances.shape)
    around = np.concatenate((np.roll(other, -int(enter), axis=0), other[enter : enter + 1]))
    return np.concatenate((outline[: leave + 1], around, outline[leave:]))

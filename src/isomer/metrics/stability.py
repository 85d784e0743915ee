"""Temporal stability T."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.metrics.measure import SequenceMeasure
from isomer.metrics.pair import MASK_THRESHOLD, FramePair

_SCALE = 5.0
_SIMPLIFICATION = 3.0  # px
_SPACING = 3.0  # px
_ANGLES = 12
_RADII = np.logspace(np.log10(1 / 8), np.log10(2), 5)  # in mean distances between two points
_EPS = 2.22e-16
_BLOCK = 1 << 22  # elements of the largest temporary array


class TemporalStability(SequenceMeasure):
    """T: how much the contour of the predicted masks changes shape from frame to frame; lower is better.

    5 x the mean shape-context cost between the matched contour points of a frame and the one before (Perazzi
    et al., CVPR 2016; Belongie et al., PAMI 2002). Not defined (nan) for the first frame and where either
    mask is empty. Invariant to translation; the annotation plays no part.
    """

    def __init__(self) -> None:
        super().__init__()
        self._previous: NDArray[np.float64] | None = None

    def measure(self, pair: FramePair) -> float:
        """T between this frame and the one before."""
        previous, self._previous = self._previous, _descriptors(pair.prediction > MASK_THRESHOLD)
        if previous is None or not len(previous) or not len(self._previous):
            return float("nan")
        return _SCALE * _matching_cost(_cost_matrix(previous, self._previous))


def _descriptors(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shape contexts of the mask's longest contour: float64 [points, 60], rows sum to 1; none for no mask."""
    points = _contour(mask)
    if not len(points):
        return np.empty((0, _ANGLES * len(_RADII)))
    offsets = points[None, :, :] - points[:, None, :]
    distances = np.hypot(offsets[..., 0], offsets[..., 1])
    distances /= distances.mean() or 1.0
    ring = np.searchsorted(_RADII, distances, side="right")  # the last one is beyond the outer radius
    turn = np.mod(np.arctan2(offsets[..., 1], offsets[..., 0]), 2 * np.pi) / (2 * np.pi)
    sector = np.minimum((turn * _ANGLES).astype(np.int64), _ANGLES - 1)
    bins = (len(_RADII) + 1) * _ANGLES
    index = np.arange(len(points))[:, None] * bins + ring * _ANGLES + sector
    counts = np.bincount(index.ravel(), minlength=len(points) * bins).reshape(len(points), bins)
    counts = counts[:, : _ANGLES * len(_RADII)]
    # A point is within its own inner circle, so no histogram is empty.
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float64)


def _contour(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The longest contour, simplified and sampled at most 3 px apart: float64 [points, 2] of x, y."""
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.empty((0, 2))
    # The first of the longest in scan order, so that a translated mask gives the same one.
    longest = min(contours, key=lambda contour: (-cv2.arcLength(contour, True), *contour[:, 0].min(0)[::-1]))
    corners = cv2.approxPolyDP(longest, _SIMPLIFICATION, True)[:, 0].astype(np.float64)
    edges = np.roll(corners, -1, axis=0) - corners
    samples = np.maximum(np.ceil(np.hypot(*edges.T) / _SPACING), 1).astype(np.int64)
    start = np.repeat(np.arange(len(corners)), samples)
    step = np.arange(samples.sum()) - np.repeat(np.cumsum(samples) - samples, samples)
    return np.asarray(corners[start] + edges[start] * (step / samples[start])[:, None], np.float64)


def _cost_matrix(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the chi-squared distance between every two histograms: [len(first), len(second)], in [0, 1]."""
    costs = np.empty((len(first), len(second)))
    rows = max(1, _BLOCK // second.size)
    for start in range(0, len(first), rows):
        block = first[start : start + rows, None, :]
        costs[start : start + rows] = ((block - second) ** 2 / (block + second + _EPS)).sum(axis=2) / 2
    return costs


def _matching_cost(costs: NDArray[np.float64]) -> float:
    """Mean cost of the pairs of the best order-preserving matching of two closed contours."""
    # Where the contours start is arbitrary: match from there, cut both in the middle of the longest stretch
    # that runs in step, and match again.
    rows, columns = _ordered_path(costs)
    cut = _steadiest(rows, columns)
    shift = rows[cut], columns[cut]
    rows, columns = _ordered_path(np.roll(costs, (-shift[0], -shift[1]), axis=(0, 1)))
    rows, columns = (rows + shift[0]) % costs.shape[0], (columns + shift[1]) % costs.shape[1]
    # Every point is matched once: of a point's pairs the cheapest stays, first for one contour, then the
    # other.
    kept = _cheapest(rows, costs[rows, columns])
    rows, columns = rows[kept], columns[kept]
    kept = _cheapest(columns, costs[rows, columns])
    return float(costs[rows[kept], columns[kept]].mean())


def _ordered_path(costs: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cheapest path from the first to the last cell by steps right, down and diagonal (time warping)."""
    height, width = costs.shape
    total = np.full((height + 1, width + 1), np.inf)
    total[0, 0] = 0.0
    flat, stride = total.reshape(-1), width + 1
    # All cells of an anti-diagonal depend only on the two before: one vector operation each.
    for diagonal in range(height + width - 1):
        row = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        column = diagonal - row
        cell = (row + 1) * stride + column + 1
        best = np.minimum(np.minimum(flat[cell - stride], flat[cell - 1]), flat[cell - stride - 1])
        flat[cell] = best + costs[row, column]
    path = [(height - 1, width - 1)]
    while path[-1] != (0, 0):
        row, column = path[-1]
        steps = ((row - 1, column - 1), (row - 1, column), (row, column - 1))  # a tie goes to the diagonal
        path.append(min(steps, key=lambda cell: total[cell[0] + 1, cell[1] + 1]))
    cells = np.array(path[::-1])
    return cells[:, 0], cells[:, 1]


def _steadiest(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> int:
    """Index of the middle of the longest run of diagonal steps of a path."""
    diagonal = (np.diff(rows) == 1) & (np.diff(columns) == 1)
    edges = np.diff(np.concatenate(([0], diagonal.astype(np.int8), [0])))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not starts.size:
        return 0
    longest = int(np.argmax(ends - starts))
    return int(starts[longest] + ends[longest]) // 2


def _cheapest(points: NDArray[Any], costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the cheapest (of equal ones the first) of each point's pairs."""
    order = np.lexsort((costs, points))
    _, first = np.unique(points[order], return_index=True)
    return np.asarray(order[first], np.int64)

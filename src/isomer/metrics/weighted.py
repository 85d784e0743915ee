"""Weighted F-measure."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.metrics.measure import MeanMeasure
from isomer.metrics.pair import FramePair
from isomer.metrics.saliency import EPS

_WINDOW = 3  # the Gaussian reaches this far
_SIGMA = 5.0
_HALF_DISTANCE = 5.0  # px; a false alarm's extra weight halves the way to 1 over this distance
_REACH = 4  # a background pixel within a foreground pixel's window has one within sqrt(18) px


class WeightedFMeasure(MeanMeasure):
    """Weighted F-measure with beta = 1 (Margolin et al., CVPR 2014); 0 where the annotation is empty.

    Errors inside the object count less where their neighbourhood is right; false alarms count more the
    farther they are from the object.
    """

    def measure(self, pair: FramePair) -> float:
        """Weighted F of one frame, in [0, 1]."""
        size = pair.levels.foreground_size
        if size == 0:
            return 0.0
        scale = pair.levels.scale
        # |prediction - annotation| in levels: an integer image, exact.
        bottom, top = np.uint8(scale.bottom), np.uint8(scale.top)
        ideal = pair.salient & (bottom ^ top) ^ bottom
        error = np.asarray(cv2.absdiff(pair.prediction, ideal), np.uint8)
        unit = scale.top - scale.bottom
        missed = _missed(error, pair.salient) / unit
        false = _false(error, pair.salient) / unit
        true = size - missed
        recall = 1 - missed / size
        precision = true / (true + false + EPS)
        return 2 * recall * precision / (recall + precision + EPS)


class _Box(NamedTuple):
    """A block of rows and columns of an image."""

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def around(cls, mask: NDArray[np.uint8]) -> _Box:
        """The smallest box that holds every nonzero pixel."""
        left, top, width, height = cv2.boundingRect(mask)
        return cls(top, top + height, left, left + width)

    def grown(self, margin: int, shape: tuple[int, ...]) -> _Box:
        return _Box(
            max(self.top - margin, 0),
            min(self.bottom + margin, shape[0]),
            max(self.left - margin, 0),
            min(self.right + margin, shape[1]),
        )

    def within(self, outer: _Box) -> _Box:
        """The same box in the coordinates of a box that holds it."""
        return _Box(self.top - outer.top, self.bottom - outer.top, self.left - outer.left, self.right - outer.left)

    def of(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A contiguous copy of the box of an image."""
        return np.array(image[self.top : self.bottom, self.left : self.right])


def _false(error: NDArray[np.uint8], salient: NDArray[np.uint8]) -> float:
    """Sum over the background of error x (2 - 0.5^(distance to the object / 5))."""
    box = _Box.around(error | salient)
    background = cv2.bitwise_not(box.of(salient))
    false = cv2.bitwise_and(box.of(error), background).ravel()
    where = np.flatnonzero(false != 0)
    if not where.size:
        return 0.0
    distance = cv2.distanceTransform(background, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).ravel()[where]
    # The squared distance is an integer, which float32 resolves; its root in float64 is the exact distance.
    exact = np.sqrt(np.rint(np.square(distance.astype(np.float64))))
    return float(false[where] @ (2 - np.exp2(exact / -_HALF_DISTANCE)))


def _missed(error: NDArray[np.uint8], salient: NDArray[np.uint8]) -> float:
    """Sum over the object of the lesser of the error and its Gaussian mean."""
    missed = error & salient
    box = _Box.around(missed)
    if box.bottom == 0:
        return 0.0
    window = box.grown(_WINDOW, error.shape)
    spread = _spread(missed, salient, window)
    mean = cv2.sepFilter2D(spread, cv2.CV_64F, _GAUSSIAN, _GAUSSIAN, borderType=cv2.BORDER_CONSTANT)
    inner = box.within(window)
    mean = mean[inner.top : inner.bottom, inner.left : inner.right]
    return float(np.minimum(mean, box.of(missed)).sum())


def _gaussian() -> NDArray[np.float64]:
    offsets = np.arange(-_WINDOW, _WINDOW + 1)
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    return np.asarray(weights / weights.sum(), np.float64)


_GAUSSIAN = _gaussian()


def _spread(missed: NDArray[np.uint8], salient: NDArray[np.uint8], window: _Box) -> NDArray[np.uint8]:
    """Errors inside the object, carried over to the background pixels in the window of one.

    Each takes the error of the nearest object pixel; of several at one distance, that of the smallest column,
    then of the smallest row.
    """
    outer = window.grown(_REACH, salient.shape)
    inner = window.within(outer)
    object_ = outer.of(salient)
    errors = outer.of(missed)
    # Columns beyond the left and the right edge have no object pixel.
    rows = cv2.copyMakeBorder(_nearest_row(object_), 0, 0, _REACH, _REACH, cv2.BORDER_CONSTANT, value=_NO_ROW)
    reached = cv2.dilate(errors, np.ones((2 * _WINDOW + 1, 2 * _WINDOW + 1), np.uint8))
    reached[: inner.top] = reached[inner.bottom :] = 0
    reached[:, : inner.left] = reached[:, inner.right :] = 0
    band = np.flatnonzero(reached > object_)
    width = object_.shape[1]
    row, column = np.divmod(band, width)
    stride = rows.shape[1]
    columns = np.arange(2 * _REACH + 1)
    candidates = np.take(rows, (row * stride + column)[None, :] + columns[:, None])
    ranks = np.take(_RANK, candidates + _RANK.shape[1] * columns[:, None]).min(axis=0)
    row_offset, column_offset = _OFFSETS[ranks].T
    errors.ravel()[band] = errors.ravel()[band + row_offset * width + column_offset]
    return inner.of(errors)


# Vertical offsets by code, nearest first and upwards before downwards, and the code of "none within reach".
_ROW_OFFSETS = np.array([0] + [sign * step for step in range(1, _REACH + 1) for sign in (-1, 1)])
_NO_ROW = len(_ROW_OFFSETS)


def _nearest_row(object_: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Code of the vertical offset to each pixel's nearest object pixel in its own column."""
    outside = cv2.bitwise_not(object_)
    nearest = np.full(object_.shape, _NO_ROW, np.uint8)
    height = len(object_)
    for code, offset in enumerate(_ROW_OFFSETS):
        if abs(offset) >= height:
            continue
        here = nearest[max(-offset, 0) : height - max(offset, 0)]
        there = outside[max(offset, 0) : height - max(-offset, 0)]
        np.minimum(here, there | np.uint8(code), out=here)
    return nearest


def _rank_offsets() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Rank of each (column offset, code of a row offset), and the (row, column) offset of each rank."""
    offsets = sorted(
        (int(dy) ** 2 + dx**2, dx, int(dy), code)
        for dx in range(-_REACH, _REACH + 1)
        for code, dy in enumerate(_ROW_OFFSETS)
    )
    ranks = np.full((2 * _REACH + 1, _NO_ROW + 1), len(offsets), np.uint8)
    for rank, (_, dx, _, code) in enumerate(offsets):
        ranks[dx + _REACH, code] = rank
    return ranks, np.array([(dy, dx) for _, dx, dy, _ in offsets])


_RANK, _OFFSETS = _rank_offsets()

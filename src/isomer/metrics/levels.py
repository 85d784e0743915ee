"""The 256 levels of a saliency map: what value each stands for, and how many pixels have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

LEVELS = 256


@dataclass(frozen=True)
class LevelValues:
    """What the levels of one map stand for.

    Attributes:
        bottom: the level of value 0.
        top: the level of value 1.
        values: float64 [256], value of each level; increasing from `bottom` to `top`.
        cutoffs: int64 [256], the lowest level that the i-th threshold of a curve selects, highest threshold
            first.
    """

    bottom: int
    top: int
    values: NDArray[np.float64]
    cutoffs: NDArray[np.int64]


Scale = Callable[[int, int], LevelValues]
"""From the lowest and the highest level of a map to what its levels stand for."""


@lru_cache(maxsize=4096)
def stretched_scale(lowest: int, highest: int) -> LevelValues:
    """Each map is stretched to [0, 1] by its own extremes unless it is constant (PySODMetrics).

    A curve's thresholds are the values 255 / 255, 254 / 255, ..., 0, against values truncated to 1 / 255.
    """
    values = np.arange(LEVELS) / 255
    bottom, top = 0, 255
    if lowest != highest:
        bottom, top = lowest, highest
        values = np.clip(values, values[lowest], values[highest])
        values = (values - values[lowest]) / (values[highest] - values[lowest])
    truncated = (values * 255).astype(np.uint8)
    return LevelValues(bottom, top, values, np.searchsorted(truncated, np.arange(255, -1, -1)))


@lru_cache(maxsize=1)
def _published_values() -> LevelValues:
    # torch.linspace in float32 counts its upper half down from the end.
    step = np.float32(1 - 1e-10) / np.float32(LEVELS - 1)
    index = np.arange(LEVELS, dtype=np.float32)
    thresholds = np.where(index < LEVELS // 2, step * index, np.float32(1) - step * index[::-1])
    values = np.arange(LEVELS, dtype=np.float32) / np.float32(255)
    cutoffs = np.searchsorted(values, thresholds.astype(np.float32))[::-1]
    return LevelValues(0, 255, values.astype(np.float64), np.ascontiguousarray(cutoffs))


def published_scale(lowest: int, highest: int) -> LevelValues:
    """Level / 255 whatever the map, 256 float32 thresholds from 1 - 1e-10 down to 0 (published code)."""
    return _published_values()


@dataclass(frozen=True)
class LevelCounts:
    """A saliency map against its annotation, as counts of pixels by level.

    Attributes:
        foreground: int64 [256], pixels inside the salient object.
        background: int64 [256], pixels outside.
        scale: what the levels stand for.
    """

    foreground: NDArray[np.int64]
    background: NDArray[np.int64]
    scale: LevelValues

    @cached_property
    def foreground_size(self) -> int:
        """Number of pixels of the annotated object."""
        return int(self.foreground.sum())

    @cached_property
    def size(self) -> int:
        """Number of pixels of the frame."""
        return self.foreground_size + int(self.background.sum())

    @cached_property
    def mean(self) -> float:
        """Mean value of the map."""
        return float((self.foreground + self.background) @ self.scale.values) / self.size

    @cached_property
    def selected(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pixels that each threshold selects inside and outside the object, int64 [257] each.

        The first 256 are the curve's thresholds, highest first; the last is the adaptive one, twice the mean
        value but at most 1.
        """
        adaptive = np.searchsorted(self.scale.values, min(2 * self.mean, 1.0))
        cutoffs = np.append(self.scale.cutoffs, adaptive)
        inside, outside = (_at_least(counts)[cutoffs] for counts in (self.foreground, self.background))
        return inside, outside


def count_levels(prediction: NDArray[np.uint8], salient: NDArray[np.uint8], scale: Scale) -> LevelCounts:
    """Count the pixels of each level inside and outside the object (uint8 [H, W], 0 or 255)."""
    lowest, highest = (int(level) for level in cv2.minMaxLoc(prediction)[:2])
    if prediction.size >= 1 << 24:  # OpenCV's histograms are float32
        both = np.bincount(prediction.ravel(), minlength=LEVELS)
        foreground = np.bincount(prediction[salient > 0], minlength=LEVELS)
        return LevelCounts(foreground, both - foreground, scale(lowest, highest))
    # Most pixels have the lowest or the highest level, and a histogram is slowest where one level repeats:
    # these two are counted apart, and the histogram is of the block that holds the others.
    both, foreground = np.zeros(LEVELS, np.int64), np.zeros(LEVELS, np.int64)
    if highest - lowest > 1:
        between = np.asarray(cv2.inRange(prediction, lowest + 1, highest - 1), np.uint8)
        left, top, width, height = cv2.boundingRect(between)
        block = slice(top, top + height), slice(left, left + width)
        both += _histogram(prediction[block], between[block])
        foreground += _histogram(prediction[block], between[block] & salient[block])
    at_highest = np.asarray(cv2.inRange(prediction, highest, highest), np.uint8)
    both[highest] = cv2.countNonZero(at_highest)
    foreground[highest] = cv2.countNonZero(at_highest & salient)
    both[lowest] += prediction.size - int(both.sum())
    foreground[lowest] += cv2.countNonZero(salient) - int(foreground.sum())
    return LevelCounts(foreground, both - foreground, scale(lowest, highest))


def _histogram(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.int64]:
    if not image.size:
        return np.zeros(LEVELS, np.int64)
    return cv2.calcHist([image], [0], mask, [LEVELS], [0, LEVELS]).ravel().astype(np.int64)


def _at_least(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of pixels of level >= i, for i in 0..256."""
    return np.append(np.cumsum(counts[::-1])[::-1], 0)

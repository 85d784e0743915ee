"""S-measure."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.metrics.levels import LevelValues
from isomer.metrics.measure import MeanMeasure
from isomer.metrics.pair import FramePair
from isomer.metrics.saliency import EPS

ALPHA = 0.5


class SMeasure(MeanMeasure):
    """Structure measure with alpha = 0.5 (Fan et al., ICCV 2017).

    Not defined (nan) where the object's centroid is in the last row or column: a quadrant is empty.

    Args:
        inclusive: whether the centroid's row and column belong to the upper and the left quadrants, as in the
            authors' MATLAB code and PySODMetrics, or to the others.
    """

    def __init__(self, inclusive: bool = True) -> None:
        super().__init__()
        self.inclusive = inclusive

    def measure(self, pair: FramePair) -> float:
        """S of one frame, in [0, 1]."""
        levels = pair.levels
        if levels.foreground_size == 0:
            return 1 - levels.mean
        if levels.foreground_size == levels.size:
            return levels.mean
        values = levels.scale.values
        share = levels.foreground_size / levels.size
        objects = share * _object_score(levels.foreground, values)
        objects += (1 - share) * _object_score(levels.background, 1 - values)
        score = ALPHA * objects + (1 - ALPHA) * self._regions(pair)
        return score if math.isnan(score) else max(0.0, score)

    def _regions(self, pair: FramePair) -> float:
        """SSIM of the four quadrants about the object's centroid, weighted by area."""
        height, width = pair.shape
        row, column = _centroid(pair.salient)
        row, column = row + self.inclusive, column + self.inclusive
        both = pair.prediction & pair.salient
        score, weight_left = 0.0, 1.0
        for rows in (slice(0, row), slice(row, height)):
            for columns in (slice(0, column), slice(column, width)):
                quadrant = rows, columns
                size = (rows.stop - rows.start) * (columns.stop - columns.start)
                if size == 0:
                    return math.nan
                last = rows.stop == height and columns.stop == width
                weight = weight_left if last else size / (height * width)
                weight_left -= weight
                score += weight * _ssim(
                    pair.prediction[quadrant], pair.salient[quadrant], both[quadrant], pair.levels.scale
                )
        return score


def _object_score(counts: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    size = int(counts.sum())
    mean = float(counts @ values) / size
    variance = float(counts @ (values - mean) ** 2) / (size - 1) if size > 1 else 0.0
    return 2 * mean / (mean * mean + 1 + math.sqrt(variance) + EPS)


def _centroid(mask: NDArray[np.uint8]) -> tuple[int, int]:
    """Row and column of a mask's centroid, rounded half to even; the sums are of integers, so exact."""
    by_column = cv2.reduce(mask, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().astype(np.int64)
    by_row = cv2.reduce(mask, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().astype(np.int64)
    total = int(by_row.sum())
    row = int(by_row @ np.arange(by_row.size)) / total
    column = int(by_column @ np.arange(by_column.size)) / total
    return round(row), round(column)


def _ssim(
    prediction: NDArray[np.uint8], salient: NDArray[np.uint8], both: NDArray[np.uint8], scale: LevelValues
) -> float:
    """SSIM of a quadrant, from integer sums: exact until the last division, and no pass in floating point."""
    size = prediction.size
    sum_p, sum_g = int(cv2.sumElems(prediction)[0]), cv2.countNonZero(salient)
    sum_pg = int(cv2.sumElems(both)[0])
    sum_pp = round(cv2.norm(prediction, cv2.NORM_L2SQR))  # OpenCV squares a root
    span = scale.top - scale.bottom
    mean_p = (sum_p - scale.bottom * size) / (span * size)
    mean_g = sum_g / size
    degrees = size * (size - 1 + EPS)
    var_p = (size * sum_pp - sum_p * sum_p) / (span * span * degrees)
    var_g = (size * sum_g - sum_g * sum_g) / degrees
    covariance = (size * sum_pg - sum_p * sum_g) / (span * degrees)
    alpha = 4 * mean_p * mean_g * covariance
    beta = (mean_p * mean_p + mean_g * mean_g) * (var_p + var_g)
    if alpha != 0:
        return alpha / (beta + EPS)
    return 1.0 if beta == 0 else 0.0

"""Mean absolute error, F-measure and E-measure, all from one count of pixels by level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isomer.metrics import statistics
from isomer.metrics.levels import LEVELS, LevelCounts
from isomer.metrics.measure import MeanMeasure, Measure
from isomer.metrics.pair import FramePair

EPS = float(np.spacing(1))


class MAE(MeanMeasure):
    """Mean absolute error between map and annotation, in [0, 1] (Perazzi et al., CVPR 2012)."""

    def measure(self, pair: FramePair) -> float:
        """MAE of one frame."""
        levels = pair.levels
        values = levels.scale.values
        return float(levels.foreground @ (1 - values) + levels.background @ values) / levels.size


@dataclass(frozen=True)
class FMeasureScore:
    """F-measure over a sequence; the curves are means over its frames, highest threshold first.

    Attributes:
        adaptive: mean over the frames at each frame's adaptive threshold.
        curve: float64 [256], F at each threshold.
        precision: float64 [256].
        recall: float64 [256].
    """

    adaptive: float
    curve: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Mean of the curve."""
        return float(self.curve.mean())

    @property
    def max(self) -> float:
        """Maximum of the curve."""
        return float(self.curve.max())


class FMeasure(Measure[FMeasureScore]):
    """F-measure with beta^2 = 0.3 at 256 thresholds and at the adaptive one (Achanta et al., CVPR 2009).

    `values` holds the adaptive F of each frame.

    Args:
        beta_squared: weight of precision against recall.
    """

    def __init__(self, beta_squared: float = 0.3) -> None:
        super().__init__()
        self.beta_squared = beta_squared
        self._sums = np.zeros((3, LEVELS))

    def measure(self, pair: FramePair) -> float:
        """Adaptive F of one frame, whose curves join the others."""
        hits, false_alarms = pair.levels.selected
        precision = hits / np.maximum(hits + false_alarms, 1)
        recall = hits / max(pair.levels.foreground_size, 1)
        weighted = self.beta_squared * precision + recall
        f = (1 + self.beta_squared) * precision * recall / np.where(hits, weighted, 1)
        self._sums += np.stack((f, precision, recall))[:, :LEVELS]
        return float(f[-1])

    def result(self) -> FMeasureScore:
        """Figures and curves of the frames so far; nan if there are none."""
        curve, precision, recall = self._sums / (len(self.values) or np.nan)
        return FMeasureScore(statistics.mean(self.values), curve, precision, recall)


@dataclass(frozen=True)
class EMeasureScore:
    """E-measure over a sequence; the curve is the mean over its frames, highest threshold first.

    Attributes:
        adaptive: mean over the frames at each frame's adaptive threshold.
        curve: float64 [256], E at each threshold.
    """

    adaptive: float
    curve: NDArray[np.float64]

    @property
    def mean(self) -> float:
        """Mean of the curve."""
        return float(self.curve.mean())

    @property
    def max(self) -> float:
        """Maximum of the curve."""
        return float(self.curve.max())


class EMeasure(Measure[EMeasureScore]):
    """Enhanced-alignment measure at 256 thresholds and at the adaptive one (Fan et al., IJCAI 2018).

    `values` holds the adaptive E of each frame. A perfect frame is 1 + 1 / (H W - 1): the published
    definition divides by one pixel less than it sums over.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sum = np.zeros(LEVELS)

    def measure(self, pair: FramePair) -> float:
        """Adaptive E of one frame, whose curve joins the others."""
        e = _alignment(pair.levels)
        self._sum += e[:LEVELS]
        return float(e[-1])

    def result(self) -> EMeasureScore:
        """Figures and the curve of the frames so far; nan if there are none."""
        return EMeasureScore(statistics.mean(self.values), self._sum / (len(self.values) or np.nan))


def _alignment(levels: LevelCounts) -> NDArray[np.float64]:
    """E at each of the 257 thresholds: the four kinds of pixel have one alignment each."""
    hits, false_alarms = levels.selected
    selected = hits + false_alarms
    if levels.foreground_size == 0:
        total = (levels.size - selected).astype(np.float64)
    elif levels.foreground_size == levels.size:
        total = selected.astype(np.float64)
    else:
        predicted_mean = selected / levels.size
        annotated_mean = levels.foreground_size / levels.size
        misses = levels.foreground_size - hits
        rejections = levels.size - selected - misses
        total = np.zeros(len(hits))
        for count, predicted, annotated in (
            (hits, 1, 1),
            (false_alarms, 1, 0),
            (misses, 0, 1),
            (rejections, 0, 0),
        ):
            p, g = predicted - predicted_mean, annotated - annotated_mean
            total += (2 * p * g / (p * p + g * g + EPS) + 1) ** 2 / 4 * count
    return np.asarray(total / (levels.size - 1 + EPS), np.float64)

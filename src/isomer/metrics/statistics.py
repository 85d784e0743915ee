"""What a sequence's per-frame values come to: mean, recall and decay, as DAVIS-2016 defines them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RECALL_THRESHOLD = 0.5
_BINS = 4


class SequenceScore(NamedTuple):
    """A measure over a sequence (Perazzi et al., CVPR 2016, section 4); nan where no frame is defined.

    Attributes:
        mean: mean over the frames.
        recall: share of the frames above 0.5.
        decay: mean of the first quarter of the frames minus mean of the last.
    """

    mean: float
    recall: float
    decay: float


def mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Mean of the defined (not nan) values; nan if there are none."""
    array = np.asarray(values, np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if defined.size else float("nan")


def recall(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Share of the defined values above 0.5; nan if there are none."""
    array = np.asarray(values, np.float64)
    return mean(np.where(np.isnan(array), np.nan, array > RECALL_THRESHOLD))


def decay(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Mean of the first of four bins of frames minus mean of the last; neighbouring bins share a frame."""
    array = np.asarray(values, np.float64)
    if not array.size:
        return float("nan")
    # Wide integers: the official code keeps the edges in 8 bits, which wrap beyond 256 frames.
    edges = np.round(np.linspace(1, array.size, _BINS + 1) + 1e-10).astype(np.int64) - 1
    return mean(array[: edges[1] + 1]) - mean(array[edges[-2] : edges[-1] + 1])


def summarize(values: Sequence[float] | NDArray[np.float64]) -> SequenceScore:
    """Mean, recall and decay of per-frame values."""
    return SequenceScore(mean(values), recall(values), decay(values))

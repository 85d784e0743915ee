"""Measures of segmentation and saliency: one class a measure, NumPy arrays in, numbers out, no file touched.

Every class has `step(prediction, ground_truth)` for a frame and `result()` for the sequence. Feeding several
measures costs less through one `FramePair` a frame and `step_pair(pair)`, which shares what they have in
common.
"""

from isomer.metrics.boundary import BoundaryAccuracy
from isomer.metrics.levels import Scale, published_scale, stretched_scale
from isomer.metrics.measure import Measure
from isomer.metrics.pair import FramePair
from isomer.metrics.region import RegionSimilarity
from isomer.metrics.saliency import MAE, EMeasure, EMeasureScore, FMeasure, FMeasureScore
from isomer.metrics.stability import TemporalStability
from isomer.metrics.statistics import SequenceScore, decay, recall, summarize
from isomer.metrics.structure import SMeasure
from isomer.metrics.weighted import WeightedFMeasure

__all__ = [
    "MAE",
    "BoundaryAccuracy",
    "EMeasure",
    "EMeasureScore",
    "FMeasure",
    "FMeasureScore",
    "FramePair",
    "Measure",
    "RegionSimilarity",
    "SMeasure",
    "Scale",
    "SequenceScore",
    "TemporalStability",
    "WeightedFMeasure",
    "decay",
    "published_scale",
    "recall",
    "stretched_scale",
    "summarize",
]

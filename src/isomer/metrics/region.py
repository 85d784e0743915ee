"""Region similarity J."""

from __future__ import annotations

from isomer.metrics import bits
from isomer.metrics.measure import SequenceMeasure
from isomer.metrics.pair import FramePair


class RegionSimilarity(SequenceMeasure):
    """J: intersection over union of prediction (> 128) and annotation (> 0); 1 if both are empty.

    Perazzi et al., "A benchmark dataset and evaluation methodology for video object segmentation", CVPR 2016.
    """

    def measure(self, pair: FramePair) -> float:
        """J of one frame, in [0, 1]."""
        predicted, annotated = pair.masks
        union = bits.count(predicted | annotated)
        return bits.count(predicted & annotated) / union if union else 1.0

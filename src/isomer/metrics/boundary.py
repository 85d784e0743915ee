"""Boundary accuracy F."""

from __future__ import annotations

import math

from isomer.metrics import bits
from isomer.metrics.measure import SequenceMeasure
from isomer.metrics.pair import FramePair

TOLERANCE = 0.008
"""How far a boundary may be off, as a share of the image's diagonal."""


class BoundaryAccuracy(SequenceMeasure):
    """F: harmonic mean of the precision and recall of the predicted boundary, within a tolerance.

    The tolerance is 0.8 % of the image's diagonal, rounded up (8 px at 854x480). Perazzi et al., CVPR 2016,
    after Martin et al., PAMI 2004.
    """

    def measure(self, pair: FramePair) -> float:
        """F of one frame, in [0, 1]."""
        height, width = pair.shape
        radius = math.ceil(TOLERANCE * math.hypot(height, width))
        drawn = bits.crop(bits.boundaries(pair.masks, width))
        predicted, annotated = bits.count(drawn[0]), bits.count(drawn[1])
        if not predicted and not annotated:
            return 1.0
        if not predicted or not annotated:
            return 0.0
        near = bits.dilate_disk(drawn, radius)
        precision = bits.count(drawn[0] & near[1]) / predicted
        recall = bits.count(drawn[1] & near[0]) / annotated
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

"""Maps of the frames between two key frames, from the maps of these, along the optical flow.

Neighbouring frames show the same objects. Where little moves, the network need not look at each of them: what it found
in two key frames, moved to a frame between them and averaged, is about as good as what it would have found there.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.segment.links import Between
from isomer.segment.warp import lookup, moved

Probability = NDArray[np.float32]

_DOUBT = np.float32(1e-3)  # trust where there is none: nearness decides if neither key frame looks alike


def interpolate(before: Probability, after: Probability, between: Between) -> Probability:
    """Return the map of a frame between key frames from their maps, all float32 [h, w] in [0, 1].

    It is their mean, each weighted by how near in time it is and how much it is trusted.
    """
    (to_before, trust_before), (to_after, trust_after) = between.to_before, between.to_after
    near_before, near_after = np.float32(1 - between.share), np.float32(between.share)
    weight_before = near_before * (trust_before + _DOUBT)
    weight_after = near_after * (trust_after + _DOUBT)
    share = cv2.resize(weight_after / (weight_before + weight_after), before.shape[::-1])
    first = moved(before, lookup(to_before, *before.shape))
    second = moved(after, lookup(to_after, *after.shape))
    return np.asarray(first + share * (second - first), np.float32)

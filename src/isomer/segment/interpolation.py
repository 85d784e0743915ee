"""Maps of the frames between two key frames, from the maps of these, along the optical flow.

Neighbouring frames show the same objects. Where little moves, the network need not look at each of them: what it found
in two key frames, moved to a frame between them and averaged, is about as good as what it would have found there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from isomer.media import Frame
from isomer.segment.links import Between
from isomer.segment.warp import moved, resize_map

Probability = NDArray[np.float32]

_DOUBT = np.float32(1e-3)  # trust where there is none: nearness decides if neither key frame looks alike


def interpolate(
    before: Probability, after: Probability, between: Sequence[Between]
) -> Iterator[tuple[Frame, Probability]]:
    """Yield the frames between two key frames, each with its map: at the resolution of the flow, float32 in [0, 1].

    A map is the mean of those of the key frames, each weighted by how near in time it is and how much it is trusted.

    Args:
        before: the map of the key frame before, float32 [h, w] in [0, 1].
        after: that of the one after, of the same size.
        between: the frames between them, in order.
    """
    if not between:
        return
    shape = between[0].to_before.trust.shape
    before, after = resize_map(before, *shape), resize_map(after, *shape)
    for frame, share, to_before, to_after in between:
        weight_before = np.float32(1 - share) * (to_before.trust + _DOUBT)
        weight_after = np.float32(share) * (to_after.trust + _DOUBT)
        first = moved(before, to_before.flow)
        second = moved(after, to_after.flow)
        yield frame, first + weight_after / (weight_before + weight_after) * (second - first)

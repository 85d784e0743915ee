"""Maps of the frames between two key frames, from the maps of these, along the optical flow.

Neighbouring frames show the same objects. Where little moves, the network need not look at each of them: what it found
in two key frames, moved to a frame between them and averaged, is nearly as good as what it would have found there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isomer.flow import DISFlow, Flow
from isomer.media import Frame
from isomer.segment.warp import lookup, moved

Probability = NDArray[np.float32]

# Where to look a map up takes a less fine flow than the network does, which sees its borders.
_FLOW = {"short_side": 160, "refinements": 0, "stride": 4}


class Between(NamedTuple):
    """A frame between two key frames.

    Attributes:
        frame: the frame.
        share: how far it is on the way from the one to the other, in (0, 1).
        to_before: the flow to the key frame before, float32 [h, w, 2] in pixels of its own grid.
        to_after: that to the one after.
        back: that to the frame just before.
    """

    frame: Frame
    share: float
    to_before: Flow
    to_after: Flow
    back: Flow


class KeyFrameFlow:
    """Finds the flow from frames between key frames to these, in order over a video."""

    def __init__(self) -> None:
        self._dis = DISFlow(**_FLOW)
        self._before: NDArray[np.uint8] | None = None  # the key frame before, as it is matched

    def __call__(self, frames: Sequence[Frame], after: Frame) -> list[Between]:
        """Return the frames between the key frame `after` and that of the call before, in order, with their flow."""
        before, self._before = self._before, self._dis.shrunk_gray(after.image)
        found: list[Between] = []
        if before is None:
            return found
        for passed, frame in enumerate(frames, 1):
            gray = self._dis.shrunk_gray(frame.image)
            to_before, to_after = self._dis.match(gray, before), self._dis.match(gray, self._before)
            back = to_before * np.float32(1 / passed)
            found.append(Between(frame, passed / (len(frames) + 1), to_before, to_after, back))
        return found


def interpolate(before: Probability, after: Probability, between: Between) -> Probability:
    """Return the map of a frame between key frames from their maps, all float32 [h, w] in [0, 1]."""
    first = moved(before, lookup(between.to_before, *before.shape))
    second = moved(after, lookup(between.to_after, *after.shape))
    return np.asarray(first + np.float32(between.share) * (second - first), np.float32)

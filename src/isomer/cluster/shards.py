"""Parts of a long video, segmented apart and joined to exactly what segmenting it whole gives.

The map of a key frame depends on its neighbours', as the network makes them; such a map on the frame and on its flow,
and the flow on the temporal step, which `isomer.flow.moving_frames` adapts to the motion from key frame to key frame.
The step and where the next key frame is are all that a part inherits from what came before it, and every `ANCHOR`-th
frame is a key frame. So a part

1. is right from its `seam` on, the anchor before its start, so that the key frame before its first is; it begins
   `WARM_UP` frames earlier, with an unknown step, and goes on `look_ahead` frames beyond its end, where its last maps
   and flows look, and where it learns what its successor pairs at the seam;
2. notes which frames the flow of each key frame pairs. If a part and its predecessor pair the frame at their seam
   alike, they have the same step there. For either a shot began since the warm-up did, and the step with it in both;
   or enough of the shot lies before the seam for the step to be the distance of the pair;
3. is repaired if they do not: done again with its predecessor's step, up to the key frame after the one from which on
   its flows pair as they did before.

The first part is right. Where all seams agree, so is each next one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from isomer.flow import ANCHOR, FlowEstimator
from isomer.media import Frame

WARM_UP = 2 * ANCHOR
"""Frames before a seam. Whole `ANCHOR`s, and enough to bring about a step; more make a repair less likely."""


def look_ahead(max_step: int, key_interval: int) -> int:
    """Return how many frames a part goes on after its end, for these two options of `isomer.segment.Segmenter`.

    They are its successor's first, those to the next key frame, and those the flow of that may lead to.
    """
    return key_interval + max_step + 1


@dataclass(frozen=True)
class Shard:
    """A part of a video; positions count the frames that are segmented, every `stride`-th.

    Attributes:
        start: position of its first frame.
        stop: position after its last; None is the end of the video.
        step: the temporal step at the seam, if it is known: then the part is to be repaired.
    """

    start: int
    stop: int | None
    step: int | None = None

    @property
    def seam(self) -> int:
        """Position from which on it is to be as in the whole, though it is not written before `start`."""
        return max(0, self.start - ANCHOR)


def split(frames: int, most: int) -> list[Shard]:
    """Split a video of about so many frames into parts that begin at anchors, of `most` frames or fewer.

    In anchors, whose last may be incomplete, their lengths differ by one at most.
    """
    anchors = math.ceil(frames / ANCHOR)
    parts = math.ceil(anchors / (most // ANCHOR))
    starts = [part * anchors // parts * ANCHOR for part in range(parts)]
    return [Shard(start, stop) for start, stop in zip(starts, [*starts[1:], None], strict=True)]


class Seams:
    """The parts of one video, and what they paired.

    Args:
        shards: in order, without gaps.
    """

    def __init__(self, shards: list[Shard]) -> None:
        self.shards = shards
        self._pairs: dict[int, list[int]] = {}
        self._missing = {shard.start for shard in shards}

    def add(self, shard: Shard, pairs: list[int]) -> None:
        """Take in what a part paired: `PairedFlow.pair` from its seam to its successor's first frame."""
        self._pairs[shard.start] = pairs
        self._missing.discard(shard.start)

    @property
    def complete(self) -> bool:
        """Whether all parts are in."""
        return not self._missing

    def repairs(self) -> list[Shard]:
        """Return the parts that do not continue their predecessors, to be added anew; none: all are right."""
        repairs = []
        for before, after in pairwise(self.shards):
            left = _at(self._pairs[before.start], after.seam - before.seam)
            right = _at(self._pairs[after.start], 0)
            if left != right:
                repairs.append(replace(after, step=abs(left)))
        self._missing = {shard.start for shard in repairs}
        return repairs


def _at(pairs: list[int], index: int) -> int:
    return pairs[index] if index < len(pairs) else 0


class PairedFlow:
    """Optical flow that notes which frames it pairs, and can bring about a temporal step; a `FlowEstimator`.

    Args:
        estimate: the flow itself.
        key_interval: the most frames from a key frame to the next. As many of them as it takes to double a step of 1
            up to the largest one fit into an `ANCHOR`.
    """

    def __init__(self, estimate: FlowEstimator, key_interval: int) -> None:
        self._estimate = estimate
        self._key_interval = key_interval
        self.begin()

    def begin(self, start: int = 0, step: int | None = None, stride: int = 1) -> None:
        """Begin a video or a part of one.

        Args:
            start: index of the first frame that counts.
            step: if given, frames before `start` get not their own flow but one that leads to this step.
            stride: distance of the frames.
        """
        self._targets: dict[int, int] = {}
        self._start = start
        self._step = step
        self._stride = stride

    def __call__(self, source: Frame, target: Frame) -> NDArray[np.float32]:
        """Return the flow from `source` to `target`; see `FlowEstimator`."""
        if self._step is not None and source.index < self._start:
            # The step halves, to no less than 1, where everything moves, and doubles where nothing does. There the
            # next key frame is as far away as can be, else it is the next frame.
            doublings = math.ceil(math.log2(self._step))
            still = source.index >= self._start - doublings * self._key_interval * self._stride
            return np.full((16, 16, 2), 0 if still else 16, np.float32)
        self._targets.setdefault(source.index, target.index)  # with several views a look back follows
        return self._estimate(source, target)

    def pair(self, frame: Frame) -> int:
        """Return how far, in positions, and to which side the flow of a frame leads; 0 if it has none.

        Key frames have one, but for shots of one frame.
        """
        return (self._targets.get(frame.index, frame.index) - frame.index) // self._stride

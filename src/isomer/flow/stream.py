"""From a stream of frames to a stream of frames with their optical flow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow.color import motion_scale
from isomer.flow.estimator import Flow, FlowEstimator
from isomer.media import Frame

_AnyFrame = TypeVar("_AnyFrame", bound=Frame)

# Bhattacharyya distance of colour histograms. Neighbouring frames of six DAVIS sequences stay below 0.06, frames
# four apart below 0.14; first frames of 14 different videos are 0.29 or more apart.
_CUT = 0.2
# Speed of the fastest parts, as a share of the diagonal, below which a longer temporal step is tried (there the
# flow's colours fade, see `motion_scale`) and above which a shorter one is.
_SLOW, _FAST = 1 / 256, 1 / 64
# What the fastest parts may move from a key frame to the next, as a share of the diagonal. On six sequences of DAVIS
# 37 % of the frames are then key frames; see benchmarks/README.md.
_REACH = 20 / 256

ANCHOR = 12
"""Every so many frames there is a key frame, whatever came before: a part of a video that begins at one has its own."""


class MovingFrame(NamedTuple):
    """A frame and, if it is a key frame, how it moves.

    Attributes:
        frame: the frame.
        flows: float32 [h, w, 2] each: the flow towards a later frame and, where asked for, that from an earlier
            one. Both point forward in time: what is looked up backwards is negated. Empty between key frames.
        steps: by how many frames each of them leads; 0 where nothing is known.
        opens_shot: whether there is no frame before it in its shot.
    """

    frame: Frame
    flows: tuple[Flow, ...]
    steps: tuple[int, ...]
    opens_shot: bool


def moving_frames(
    frames: Iterable[Frame],
    estimator: FlowEstimator,
    max_step: int = 4,
    *,
    both: bool = False,
    key_interval: int = 1,
) -> Iterator[MovingFrame]:
    """Pair each key frame with its flow towards a later frame of the same shot.

    The temporal step is chosen from the motion, so that a slow or high-frame-rate video still shows some: it
    doubles, up to `max_step`, while even the fastest parts hardly move, and halves again when they speed up. The
    last frames of a shot have nothing to look ahead to: their flow is that to an earlier frame, negated. A shot
    of one frame has no motion.

    The first and the last frame of a shot are key frames. From one to the next even the fastest parts move about 8 %
    of the diagonal at most: the less moves, the farther they are apart.

    Args:
        frames: in order; `max_step` past ones are held, and as many to come as the larger of the two limits says.
        estimator: of the flow.
        max_step: the largest temporal step, in frames.
        both: look back as well as ahead; frames at an end of a shot get what there is twice.
        key_interval: the most frames from a key frame to the next; 1 makes all frames key frames.
    """
    for _, shot in groupby(numbered_by_shot(frames), key=itemgetter(0)):
        yield from _flow_in_shot((numbered[1:] for numbered in shot), estimator, max_step, both, key_interval)


def frames_with_flow(
    frames: Iterable[Frame], estimator: FlowEstimator, max_step: int = 4
) -> Iterator[tuple[Frame, Flow]]:
    """Yield what the network sees by default: each frame and its flow ahead; see `moving_frames`."""
    for moving in moving_frames(frames, estimator, max_step):
        yield moving.frame, moving.flows[0]


def numbered_by_shot(frames: Iterable[_AnyFrame]) -> Iterator[tuple[int, int, _AnyFrame]]:
    """Yield (shot, position, frame): with every cut another shot begins."""
    shot = 0
    previous = None
    for position, frame in enumerate(frames):
        histogram = _colour_histogram(frame.image)
        if previous is not None and cv2.compareHist(previous, histogram, cv2.HISTCMP_BHATTACHARYYA) > _CUT:
            shot += 1
        previous = histogram
        yield shot, position, frame


def _colour_histogram(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the 8x8x8 colour histogram of an RGB image [H, W, 3], taken on a thumbnail."""
    picked = cv2.resize(image, (192, 192), interpolation=cv2.INTER_NEAREST)  # a mean of all pixels takes far longer
    thumbnail = cv2.resize(picked, (96, 96), interpolation=cv2.INTER_AREA)
    histogram = cv2.calcHist([thumbnail], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3)
    return cv2.GaussianBlur(histogram.reshape(8, 64), (3, 3), 0).astype(np.float32, copy=False)


def _flow_in_shot(
    frames: Iterator[tuple[int, Frame]], estimator: FlowEstimator, max_step: int, both: bool, key_interval: int
) -> Iterator[MovingFrame]:
    past: deque[Frame] = deque(maxlen=max_step)  # newest first
    window = deque(islice(frames, max(max_step, key_interval) + 1))  # the present frame, then those to come
    step = 1
    while window:
        position, frame = window[0]
        ahead, behind = min(step, len(window) - 1), min(step, len(past))
        found: list[tuple[Flow, int]] = []
        if ahead and (both or ahead >= behind):
            found.append((estimator(frame, window[ahead][1]), ahead))
        if behind and (both or not found):
            found.append((-estimator(frame, past[behind - 1]), behind))
        if not found:
            found.append((np.zeros((*frame.image.shape[:2], 2), np.float32), 0))
        if both and len(found) == 1:
            found *= 2
        flows, steps = zip(*found, strict=True)
        yield MovingFrame(frame, flows, steps, opens_shot=not past)

        motion = motion_scale(flows[0], floor=0) / float(np.hypot(*flows[0].shape[:2]))
        if motion < _SLOW:
            step = min(2 * step, max_step)
        elif motion > _FAST:
            step = max(step // 2, 1)
        within_reach = int(_REACH * steps[0] / max(motion, 1e-9))
        to_next_key = max(min(within_reach, key_interval, ANCHOR - position % ANCHOR, len(window) - 1), 1)
        for passed in range(to_next_key):
            if passed:
                yield MovingFrame(window[0][1], (), (), opens_shot=False)
            past.appendleft(window.popleft()[1])
            window.extend(islice(frames, 1))

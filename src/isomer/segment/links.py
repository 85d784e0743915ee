"""How frames see the key frames beside them: along the optical flow, and how far that is to be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow import DISFlow, Flow
from isomer.media import Frame
from isomer.segment.warp import moved

_COARSEST, _FINEST = 192, 256  # pixels of the short side of frames that flow is found on

# Gray levels, averaged over 3 x 3 pixels, by which two looks at the same thing may differ: at these trust is exp(-1).
# A wrong vector, or a thing just uncovered, mostly differs by more.
_DIFFERENCE = 20.0
_TRUST = np.exp(-np.square(np.arange(256) / _DIFFERENCE)).astype(np.float32)


class Link(NamedTuple):
    """How a frame sees another one.

    Attributes:
        flow: to the other frame, float32 [h, w, 2] in pixels of its own grid.
        trust: how alike both look along it, float32 [h, w] in [0, 1].
    """

    flow: Flow
    trust: NDArray[np.float32]


class Between(NamedTuple):
    """A frame between two key frames.

    Attributes:
        frame: the frame.
        share: how far it is on the way from the one to the other, in (0, 1).
        to_before: how it sees the key frame before.
        to_after: how it sees the one after.
    """

    frame: Frame
    share: float
    to_before: Link
    to_after: Link


class Span(NamedTuple):
    """What lies between a key frame and the one before it in its shot.

    Attributes:
        forth: how the key frame before sees this one.
        back: how this one sees that before.
        between: the frames between them, in order.
    """

    forth: Link
    back: Link
    between: list[Between]


class KeyFrameLinks:
    """Links key frames, one after the other, and the frames between them.

    Args:
        size: of the network that sees the key frames, see `isomer.options.Options.size`.
    """

    def __init__(self, size: int) -> None:
        short_side = min(max(size // 2, _COARSEST), _FINEST)  # maps have softer borders than frames
        self._dis = DISFlow(short_side=short_side, refinements=0, stride=5)
        self._before: NDArray[np.uint8] | None = None

    def __call__(self, frames: Sequence[Frame], key: Frame, opens_shot: bool) -> Span | None:
        """Return the span from the key frame of the call before to `key`; None where a shot opens.

        Args:
            frames: between them, in order.
            key: the next key frame.
            opens_shot: whether there is no frame before it in its shot.
        """
        before, after = self._before, self.gray(key)
        self._before = after
        if before is None or opens_shot:
            return None
        between = [self.between(frame, i / (len(frames) + 1), before, after) for i, frame in enumerate(frames, 1)]
        return Span(self.link(before, after), self.link(after, before), between)

    def between(self, frame: Frame, share: float, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Between:
        """Link a frame, `share` of the way from one key frame to the next, with both, given by their `gray`."""
        gray = self.gray(frame)
        return Between(frame, share, self.link(gray, before), self.link(gray, after))

    def gray(self, frame: Frame) -> NDArray[np.uint8]:
        """Return what the flow is found by, and frames are compared by: gray levels, uint8 [h, w]."""
        return self._dis.shrunk_gray(frame.image)

    def link(self, image: NDArray[np.uint8], other: NDArray[np.uint8]) -> Link:
        """Link a frame with another one of the same size, both given by their `gray`."""
        flow = self._dis.match(image, other)
        difference = cv2.blur(cv2.absdiff(image, moved(other, flow)), (3, 3))
        return Link(flow, cv2.LUT(difference, _TRUST).astype(np.float32, copy=False))

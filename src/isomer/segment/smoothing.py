"""Maps averaged over time along the optical flow, so that they flicker less."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow import Flow
from isomer.segment.warp import lookup, moved

Probability = NDArray[np.float32]

# Mean colour difference, in gray levels, at which the flow is believed by exp(-1): a wrong vector, or a thing just
# uncovered, shows another colour.
_COLOUR = 10.0


class FlowSmoother:
    """Average every map with the one before it, moved along the flow; where the flow is wrong the new one stays.

    Args:
        share: of the moved map in the average, in [0, 1).
    """

    def __init__(self, share: float):
        self._share = share
        self._before: tuple[NDArray[np.uint8], Probability] | None = None

    def __call__(self, image: NDArray[np.uint8], probability: Probability, back: Flow | None) -> Probability:
        """Return the averaged map of the next frame.

        Args:
            image: the frame, uint8 RGB [h, w, 3].
            probability: its map, float32 [h, w] in [0, 1].
            back: the flow to the frame before, float32 [h', w', 2] in pixels of its own grid; None where a new
                shot begins.
        """
        if self._before is not None and back is not None:
            image_before, map_before = self._before
            there = lookup(back, *probability.shape)
            difference = cv2.absdiff(image, moved(image_before, there)).mean(axis=-1, dtype=np.float32)
            trust = self._share * np.exp(-np.square(cv2.blur(difference, (3, 3)) / _COLOUR))
            expected = moved(map_before, there)
            probability = (probability + trust * (expected - probability)).astype(np.float32, copy=False)
        self._before = image, probability
        return probability

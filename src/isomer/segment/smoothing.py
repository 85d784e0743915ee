"""Maps averaged over time along the optical flow, so that they flicker less."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow import Flow

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
            lookup = _lookup(back, *probability.shape)
            difference = cv2.absdiff(image, _moved(image_before, lookup)).mean(axis=-1, dtype=np.float32)
            trust = self._share * np.exp(-np.square(cv2.blur(difference, (3, 3)) / _COLOUR))
            expected = _moved(map_before, lookup)
            probability = (probability + trust * (expected - probability)).astype(np.float32, copy=False)
        self._before = image, probability
        return probability


_Image = TypeVar("_Image", NDArray[np.uint8], Probability)


def _lookup(back: Flow, height: int, width: int) -> NDArray[np.float32]:
    """Return where in the frame before each pixel of a grid was: float32 [height, width, 2]."""
    rows, columns = back.shape[:2]
    grown = cv2.resize(back, (width, height)) * np.array([width / columns, height / rows], np.float32)
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1)
    return np.asarray(grid + grown, np.float32)


def _moved(before: _Image, lookup: NDArray[np.float32]) -> _Image:
    """Return an image or a map of the frame before as the lookup shows it."""
    nothing = np.empty(0, np.float32)  # both coordinates are in the first map
    there = cv2.remap(before, lookup, nothing, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return there.astype(before.dtype, copy=False)

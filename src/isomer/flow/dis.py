"""DIS optical flow (Kroeger et al., ECCV 2016) by OpenCV: the default, because it needs no weights."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow.estimator import Flow
from isomer.media import Frame
from isomer.media.resize import shrink

Preset = Literal["ultrafast", "fast", "medium"]

_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}

_SMALLEST = 16  # pixels a side; OpenCV refuses smaller images


class DISFlow:
    """Dense inverse search.

    Args:
        preset: OpenCV's trade of speed for accuracy.
        short_side: larger frames are shrunk to it first; the flow keeps that resolution.
        refinements: iterations of variational refinement. OpenCV's presets do 5, which costs time and blurs the
            borders of what moves.
        stride: pixels from a patch that is matched to the next; None for the preset's.
    """

    def __init__(
        self, preset: Preset = "medium", short_side: int = 256, refinements: int = 1, stride: int | None = None
    ):
        self._dis = cv2.DISOpticalFlow.create(_PRESETS[preset])
        self._dis.setVariationalRefinementIterations(refinements)
        if stride is not None:
            self._dis.setPatchStride(stride)
        self._short_side = short_side

    def __call__(self, source: Frame, target: Frame) -> Flow:
        """Return the flow from `source` to `target`: float32 [h, w, 2], of frames shrunk to `short_side`."""
        return self.between(source.image, target.image)

    def between(self, source: NDArray[np.uint8], target: NDArray[np.uint8]) -> Flow:
        """Do the same for two RGB images, uint8 [H, W, 3]."""
        return self.match(self.shrunk_gray(source), self.shrunk_gray(target))

    def match(self, source: NDArray[np.uint8], target: NDArray[np.uint8]) -> Flow:
        """Do the same for two images of `shrunk_gray`: who matches an image often shrinks it once."""
        # OpenCV takes None for no initial flow; its stubs do not know.
        flow: Flow = self._dis.calc(source, target, None)  # type: ignore[call-overload]
        return flow

    def shrunk_gray(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return what is matched of an RGB image [H, W, 3]: gray levels, uint8 [h, w]."""
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        height, width = gray.shape
        scale = min(self._short_side / min(height, width), 1)
        width, height = max(_SMALLEST, round(width * scale)), max(_SMALLEST, round(height * scale))
        if (height, width) == gray.shape:
            return gray
        return shrink(gray, (width, height))

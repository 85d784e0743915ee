"""Results with edges at full resolution, as a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow import Flow
from isomer.media import Segmented
from isomer.segment.edges.border import Border
from isomer.segment.edges.guided import Plane
from isomer.segment.warp import moved

_SHARE = 0.8  # of the frame before's opacity in that of a frame, against 1 of its own, where both look alike
_DIFFERENCE = 12.0  # gray levels, averaged over 3 x 3 pixels, by which two looks at the same thing may differ
_ROWS = 128  # of a frame that are worked on at once: large ones take little memory
_TRUST = (_SHARE * np.exp(-np.square(np.arange(256) / _DIFFERENCE))).astype(np.float32)


def with_edges(results: Iterable[tuple[Segmented, Flow | None]], edges: str) -> Iterator[tuple[Segmented, Flow | None]]:
    """Yield results with other edges; see `isomer.options.Options.edges`.

    Args:
        results: in order, each with the flow to the frame before, of any resolution; None where a shot opens. Only a
            matte looks at it.
        edges: map, refined or matte.
    """
    if edges == "map":
        return iter(results)
    steady = Steadied() if edges == "matte" else None

    def followed(item: tuple[Segmented, Flow | None]) -> tuple[Segmented, Flow | None]:
        result, step = item
        border = Border(result.image, result.probability)
        alpha = steady(result.image, border.opacity(), step) if steady else None
        return replace(result, probability=border.refined(), alpha=alpha), step

    return map(followed, results)


class Steadied:
    """Opacity averaged with that of the frame before, moved along the flow, where both frames look alike.

    The frame before's is what was found in it alone, so that a part of a video has the same opacity as in the whole.
    """

    def __init__(self) -> None:
        self._before: tuple[NDArray[np.uint8], Plane] | None = None

    def __call__(self, image: NDArray[np.uint8], alpha: Plane, step: Flow | None) -> Plane:
        """Take the next frame and return its opacity, float32 [H, W] in [0, 1].

        Args:
            image: uint8 RGB [H, W, 3].
            alpha: what was found in it alone, float32 [H, W] in [0, 1].
            step: flow to the frame before, float32 [h, w, 2] in pixels of its own grid; None where there is none.
        """
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
        before, self._before = self._before, (gray, alpha)
        if before is None or step is None:
            return alpha
        height, width = alpha.shape
        scale = np.array((width / step.shape[1], height / step.shape[0]), np.float32)
        enlarged = np.asarray(cv2.resize(step, (width, height)), np.float32)
        result = np.empty_like(alpha)
        for top in range(0, height, _ROWS):
            rows = slice(top, top + _ROWS)
            there = enlarged[rows] * scale + np.array((0, top), np.float32)
            difference = cv2.blur(cv2.absdiff(gray[rows], moved(before[0], there)), (3, 3))
            trust = cv2.LUT(difference, _TRUST)
            result[rows] = (alpha[rows] + trust * moved(before[1], there)) / (1 + trust)
        return result

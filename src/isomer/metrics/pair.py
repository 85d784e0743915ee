"""A frame's prediction and annotation, and what several measures need of them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.metrics import bits
from isomer.metrics.levels import LevelCounts, Scale, count_levels, stretched_scale

MASK_THRESHOLD = 128
"""A prediction is foreground, and an annotation salient, above this level."""


class FramePair:
    """A prediction and its annotation; what measures share is computed at first use and kept.

    Args:
        prediction: uint8 [H, W] gray map, 0..255.
        ground_truth: uint8 [H, W], or bool [H, W], annotation. J, F and T take any level above 0 as
            foreground, the saliency measures any above 128.
        scale: how the saliency measures read levels.

    Raises:
        InputError: the arrays differ in size or are of another type.
    """

    def __init__(
        self, prediction: NDArray[np.uint8], ground_truth: NDArray[Any], scale: Scale = stretched_scale
    ) -> None:
        if ground_truth.dtype == np.bool_:
            ground_truth = ground_truth.astype(np.uint8) * np.uint8(255)
        for name, array in (("prediction", prediction), ("ground truth", ground_truth)):
            if array.ndim != 2 or array.dtype != np.uint8 or not array.size:
                raise InputError(f"{name}: {array.dtype} {list(array.shape)}; give a uint8 [H, W] array")
        if prediction.shape != ground_truth.shape:
            sizes = [f"{array.shape[1]}x{array.shape[0]}" for array in (prediction, ground_truth)]
            raise InputError(f"prediction: {sizes[0]} but its annotation is {sizes[1]}; resize it to that")
        self.prediction = np.ascontiguousarray(prediction)
        self.ground_truth: NDArray[np.uint8] = np.ascontiguousarray(ground_truth)
        self.scale = scale

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.prediction.shape
        return height, width

    @cached_property
    def masks(self) -> bits.Words:
        """Packed masks of the prediction (> 128) and the annotation (> 0): uint64 [2, H, words]."""
        return bits.pack_above((self.prediction, self.ground_truth), (MASK_THRESHOLD, 0))

    @cached_property
    def salient(self) -> NDArray[np.uint8]:
        """Annotation of the saliency measures: uint8 [H, W], 0 or 255."""
        return np.asarray(cv2.threshold(self.ground_truth, MASK_THRESHOLD, 255, cv2.THRESH_BINARY)[1], np.uint8)

    @cached_property
    def levels(self) -> LevelCounts:
        """How many pixels inside and outside the salient object have each level."""
        return count_levels(self.prediction, self.salient, self.scale)

"""What comes out for a frame."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import MissingPackageError
from isomer.media.frame import Frame
from isomer.media.labels import Labels, object_numbers
from isomer.options import VideoOptions

if TYPE_CHECKING:
    from supervision import Detections  # type: ignore[import-not-found, unused-ignore]


@dataclass(frozen=True, eq=False, kw_only=True)
class Segmented(Frame):
    """A frame and what was found in it.

    Attributes:
        probability: of the primary object, float32 [H, W] in [0, 1].
        labels: uint8 [H, W], the number of the object at each pixel and 0 for none; None where objects are not
            told apart.
    """

    probability: NDArray[np.float32]
    labels: Labels | None = None

    @classmethod
    def of(cls, frame: Frame, probability: NDArray[np.float32], labels: Labels | None = None) -> Segmented:
        """Add to a frame what was found in it."""
        return cls(**{**vars(frame), "probability": probability, "labels": labels})

    def mask(self, threshold: float = VideoOptions.threshold) -> NDArray[np.bool_]:
        """Return where the object is: bool [H, W], its probability at least `threshold`, which is in (0, 1)."""
        return self.probability >= threshold

    def numbers(self, threshold: float = VideoOptions.threshold) -> Labels:
        """Return `labels`; where objects are not told apart all that is found is object 1."""
        return self.mask(threshold).view(np.uint8) if self.labels is None else self.labels

    def to_supervision(self, threshold: float = VideoOptions.threshold) -> Detections:
        """Return the objects as the package `supervision` has them.

        Args:
            threshold: where objects are not told apart: probability in (0, 1) from which on a pixel is of the object.

        Returns:
            `supervision.Detections` with a box, a mask and a `tracker_id`, its number, for each object of the frame.
            The confidence is the mean probability on it, the class 0.

        Raises:
            MissingPackageError: supervision is not installed.
        """
        if find_spec("supervision") is None:
            raise MissingPackageError("to_supervision: needs supervision; run: pip install supervision")
        from supervision import Detections

        labels = self.numbers(threshold)
        numbers = object_numbers(labels)
        masks = np.reshape([labels == number for number in numbers], (-1, *labels.shape)).astype(bool)
        boxes = np.reshape([cv2.boundingRect(mask.view(np.uint8)) for mask in masks], (-1, 4)).astype(np.float32)
        boxes[:, 2:] += boxes[:, :2]
        return Detections(
            xyxy=boxes,
            mask=masks,
            confidence=np.array([self.probability[mask].mean() for mask in masks], np.float32),
            class_id=np.zeros(len(numbers), int),
            tracker_id=np.array(numbers, int),
        )

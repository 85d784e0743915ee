"""Maps of numbered objects."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]
"""uint8 [H, W]: the number of the object at each pixel, 0 for none."""


def object_numbers(labels: Labels) -> list[int]:
    """Return the numbers of the objects that are there, in order."""
    return [int(number) for number in np.flatnonzero(np.bincount(labels.ravel())) if number]


def nearest_labels(labels: Labels) -> Labels:
    """Give every pixel the number of the nearest object; there is nothing to give where there is none."""
    _, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.zeros(int(nearest.max()) + 1, np.uint8)
    values[nearest[labels > 0]] = labels[labels > 0]
    return values[nearest]

"""Maps of numbered objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]
"""uint8 [H, W]: the number of the object at each pixel, 0 for none."""


def object_numbers(labels: Labels) -> list[int]:
    """Return the numbers of the objects that are there, in order."""
    return [int(number) for number in np.flatnonzero(np.bincount(labels.ravel())) if number]

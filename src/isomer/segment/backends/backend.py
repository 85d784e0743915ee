"""What all that run the network have in common."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """Runs the network on a batch.

    Attributes:
        stride: the height and width of the images are multiples of it.
    """

    stride: int

    def __call__(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of the primary object, float32 [B, H, W] in [0, 1].

        Args:
            frames: uint8 RGB [B, H, W, 3].
            flows: their flow images, likewise.
        """
        ...

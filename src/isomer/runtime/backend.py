"""What all that run the network have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the names of the back ends are wanted where NumPy may be broken
    import numpy as np
    from numpy.typing import NDArray


class Backend(Protocol):
    """Runs the network on a batch.

    Attributes:
        stride: the height and width of the images are multiples of it.
        workers: how many batches may be computed side by side because that is faster than one by one.
    """

    stride: int
    workers: int

    def start(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        """Begin with a batch; up to `workers` + 1 may be begun, all by one thread, before results are taken.

        Args:
            frames: uint8 RGB [B, H, W, 3].
            flows: their flow images, likewise.

        Returns:
            What waits for the result: the probability of the primary object, float32 [B, H, W] in [0, 1].
        """
        ...

    def __call__(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Do the same at once."""
        ...

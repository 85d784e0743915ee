"""What comes out for a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isomer.media.frame import Frame
from isomer.media.labels import Labels
from isomer.options import VideoOptions


@dataclass(frozen=True, eq=False, kw_only=True)
class Segmented(Frame):
    """A frame and what was found in it.

    Attributes:
        probability: of the primary object, float32 [H, W] in [0, 1].
        labels: uint8 [H, W], the number of the object at each pixel and 0 for none; None where objects are not
            told apart.
        alpha: how much of each pixel is of the object, float32 [H, W] in [0, 1]; None unless mattes are asked for.
    """

    probability: NDArray[np.float32]
    labels: Labels | None = None
    alpha: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls,
        frame: Frame,
        probability: NDArray[np.float32],
        labels: Labels | None = None,
        alpha: NDArray[np.float32] | None = None,
    ) -> Segmented:
        """Add to a frame what was found in it."""
        return cls(**{**vars(frame), "probability": probability, "labels": labels, "alpha": alpha})

    def mask(self, threshold: float = VideoOptions.threshold) -> NDArray[np.bool_]:
        """Return where the object is: bool [H, W], its probability at least `threshold`, which is in (0, 1)."""
        return self.probability >= threshold

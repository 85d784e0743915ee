"""What any optical-flow estimator looks like to the rest of the project."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from isomer.media import Frame

Flow = NDArray[np.float32]


class FlowEstimator(Protocol):
    """Estimate dense optical flow between two frames of one video."""

    def __call__(self, source: Frame, target: Frame) -> Flow:
        """Return the flow from `source` to `target`.

        Returns:
            float32 [h, w, 2], (x, y) displacements in pixels of its own grid, which may be coarser than the
            frame's: what is at p in `source` is at p + flow(p) in `target`.
        """
        ...

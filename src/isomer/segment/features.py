"""Features of what frames look like, by a network that comes with the package; see its card, `weights/looks.md`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from isomer.networks import Runtime, load_network


def create_features(runtime: Runtime | None = None) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return what turns an RGB image, uint8 [H, W, 3], H and W multiples of 32, into float32 [H / 8, W / 8, C].

    Args:
        runtime: what runs the network; see `load_network`.

    Raises:
        MissingPackageError: the runtime is not installed.
    """
    run = load_network("looks", "two passes", runtime)  # made by isomer.runtime.features
    return lambda image: run({"image": image[None]})[0]

"""RAFT-small (Teed & Deng, ECCV 2020): better flow than that of DIS, and many times slower."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import ArgumentError
from isomer.flow.estimator import Flow
from isomer.media import Frame
from isomer.media.resize import network_size, resize_image
from isomer.networks import Runtime, load_network

_STRIDE, _FEWEST = 8, 8  # cells are 8 x 8 pixels; with fewer than 8 a side, its coarsest level would have none

_Image = NDArray[np.uint8]


class RAFTFlow:
    """Recurrent all-pairs field transforms, the authors' small network with their weights.

    Args:
        iterations: how often the flow is refined; 4 take less than half the time of 12.
        size: frames are resized to about `size` x `size` pixels, their aspect kept: 854x480 to 400x224. The flow keeps
            that resolution.
        runtime: what runs the network; by default OpenVINO, or ONNX Runtime where that alone is installed.
        threads: cores that it may use; by default all, or one where OpenCV is held to one, as in a pool of processes.

    Raises:
        InputError: an argument is out of its range.
        MissingPackageError: the runtime is not installed.
    """

    def __init__(
        self, iterations: int = 12, size: int = 300, runtime: Runtime | None = None, threads: int | None = None
    ):
        if iterations < 1:
            raise ArgumentError("iterations", iterations, "not positive; 12 is the default")
        if not 64 <= size <= 1024:  # its memory grows with the fourth power
            raise ArgumentError("size", size, "not between 64 and 1024 pixels; 300 is the default")
        threads = threads or (1 if cv2.getNumThreads() == 1 else None)
        self._run = load_network("raft_small", "the flow raft", runtime, threads)  # made by isomer.runtime.raft
        self._iterations = iterations
        self._size = size

    def __call__(self, source: Frame, target: Frame) -> Flow:
        """Return the flow from `source` to `target`: float32 [h, w, 2], of frames resized to about `size`^2 pixels."""
        return self.between(source.image, target.image)

    def between(self, source: _Image, target: _Image) -> Flow:
        """Do the same for two RGB images, uint8 [H, W, 3]."""
        height, width = source.shape[:2]
        size = network_size(width, height, self._size, _STRIDE, _FEWEST)
        images = {"source": resize_image(source, size)[None], "target": resize_image(target, size)[None]}
        flow: Flow = self._run({**images, "iterations": np.array(self._iterations)})[0]
        return flow

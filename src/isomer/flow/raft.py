"""RAFT-small (Teed & Deng, ECCV 2020): better flow than that of DIS, and many times slower."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import ArgumentError, require
from isomer.flow.estimator import Flow
from isomer.media import Frame
from isomer.media.resize import network_size, resize_image

Runtime = Literal["openvino", "onnx"]

_NETWORK = Path(__file__).parents[1] / "weights" / "raft_small.onnx"  # made by isomer.runtime.raft
_STRIDE, _FEWEST = 8, 8  # cells are 8 x 8 pixels; with fewer than 8 a side, its coarsest level would have none

_Image = NDArray[np.uint8]
_Run = Callable[[_Image, _Image, int], Flow]


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
        if runtime is None:
            runtime = "onnx" if find_spec("onnxruntime") and not find_spec("openvino") else "openvino"
        package, load = _RUNTIMES[runtime]
        require("the flow raft", runtime, package)
        self._run = load(threads or (1 if cv2.getNumThreads() == 1 else None))
        self._iterations = iterations
        self._size = size

    def __call__(self, source: Frame, target: Frame) -> Flow:
        """Return the flow from `source` to `target`: float32 [h, w, 2], of frames resized to about `size`^2 pixels."""
        return self.between(source.image, target.image)

    def between(self, source: _Image, target: _Image) -> Flow:
        """Do the same for two RGB images, uint8 [H, W, 3]."""
        height, width = source.shape[:2]
        size = network_size(width, height, self._size, _STRIDE, _FEWEST)
        return self._run(resize_image(source, size), resize_image(target, size), self._iterations)


def _in_openvino(threads: int | None) -> _Run:
    from isomer.openvino_core import core, ov

    network = core().read_model(_NETWORK)
    settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32"}  # in bfloat16 it is off by 0.1 pixels
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads

    @lru_cache(maxsize=4)
    def request_for(shape: tuple[int, ...]) -> ov.InferRequest:
        fixed = network.clone()  # a fixed size runs a quarter faster than a free one
        fixed.reshape({image: ov.PartialShape([1, *shape]) for image in ("source", "target")})
        return core().compile_model(fixed, "CPU", settings).create_infer_request()

    def run(source: _Image, target: _Image, iterations: int) -> Flow:
        inputs = {"source": source[None], "target": target[None], "iterations": np.array(iterations)}
        flow: Flow = request_for(source.shape).infer(inputs, share_inputs=True)["flow"][0]
        return flow

    return run


def _in_onnxruntime(threads: int | None) -> _Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(_NETWORK, options, providers=["CPUExecutionProvider"])

    def run(source: _Image, target: _Image, iterations: int) -> Flow:
        inputs = {"source": source[None], "target": target[None], "iterations": np.array(iterations)}
        flow: Flow = session.run(["flow"], inputs)[0][0]
        return flow

    return run


_RUNTIMES: dict[Runtime, tuple[str, Callable[[int | None], _Run]]] = {
    "openvino": ("openvino", _in_openvino),
    "onnx": ("onnxruntime", _in_onnxruntime),
}

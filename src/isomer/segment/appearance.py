"""Features of what frames look like, by a network that comes with the package; see its card, `weights/looks.md`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_NETWORK = Path(__file__).parents[1] / "weights" / "looks.onnx"  # made by isomer.runtime.looks

_Features = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def create_features() -> _Features:
    """Return what turns an RGB image, uint8 [H, W, 3], H and W multiples of 32, into float32 [H / 8, W / 8, C]."""
    return _in_onnxruntime() if find_spec("onnxruntime") and not find_spec("openvino") else _in_openvino()


def _in_openvino() -> _Features:
    from isomer.openvino_core import core, ov

    network = core().read_model(_NETWORK)

    @lru_cache(maxsize=4)
    def request_for(shape: tuple[int, ...]) -> ov.InferRequest:
        fixed = network.clone()  # a fixed size runs faster than a free one
        fixed.reshape({"image": ov.PartialShape([1, *shape])})
        return core().compile_model(fixed, "CPU").create_infer_request()

    def run(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = request_for(image.shape).infer({"image": image[None]})["features"][0]
        return features

    return run


def _in_onnxruntime() -> _Features:
    import onnxruntime

    session = onnxruntime.InferenceSession(_NETWORK, providers=["CPUExecutionProvider"])

    def run(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = session.run(["features"], {"image": image[None]})[0][0]
        return features

    return run

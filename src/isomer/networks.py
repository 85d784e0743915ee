"""Small networks that come with the package, run on the processor by OpenVINO or ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from isomer.errors import require

Runtime = Literal["openvino", "onnx"]

Run = Callable[[dict[str, NDArray[Any]]], NDArray[np.float32]]
"""Takes the inputs by their names, and returns the first output."""

_FOLDER = Path(__file__).parent / "weights"


def load_network(name: str, what: str, runtime: Runtime | None = None, threads: int | None = None) -> Run:
    """Load a network of `weights/`.

    Args:
        name: of the file, without `.onnx`.
        what: needs it, for the message.
        runtime: what runs it; by default OpenVINO, or ONNX Runtime where that alone is installed.
        threads: cores that it may use; by default all.

    Raises:
        MissingPackageError: the runtime is not installed.
    """
    if runtime is None:
        runtime = "onnx" if find_spec("onnxruntime") and not find_spec("openvino") else "openvino"
    package, load = _RUNTIMES[runtime]
    require(what, runtime, package)
    return load(_FOLDER / f"{name}.onnx", threads)


def _in_openvino(path: Path, threads: int | None) -> Run:
    from isomer.openvino_core import core, ov

    network = core().read_model(path)
    settings: dict[str, object] = {"INFERENCE_PRECISION_HINT": "f32"}  # in bfloat16 flow is off by 0.1 pixels
    if threads:
        # Pinned, the processes of a pool would all sit on the first core.
        settings |= {"INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}

    @lru_cache(maxsize=4)
    def request_for(*shapes: tuple[int, ...]) -> ov.InferRequest:
        fixed = network.clone()  # a fixed size runs a quarter faster than a free one
        fixed.reshape({port: ov.PartialShape(list(shape)) for port, shape in zip(fixed.inputs, shapes, strict=True)})
        return core().compile_model(fixed, "CPU", settings).create_infer_request()

    def run(inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        request = request_for(*(inputs[port.any_name].shape for port in network.inputs))
        found: NDArray[np.float32] = request.infer(inputs, share_inputs=True)[0]
        return found

    return run


def _in_onnxruntime(path: Path, threads: int | None) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(inputs: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run(None, inputs)[0]
        return found

    return run


_RUNTIMES: dict[Runtime, tuple[str, Callable[[Path, int | None], Run]]] = {
    "openvino": ("openvino", _in_openvino),
    "onnx": ("onnxruntime", _in_onnxruntime),
}

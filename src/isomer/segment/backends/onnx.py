"""ONNX Runtime: the portable one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from isomer.model.weights import find_weights
from isomer.segment.cache import converted

if TYPE_CHECKING:
    from isomer.model.network import Isomer


class OnnxBackend:
    """The network in ONNX Runtime on the CPU; see `Backend`.

    Args:
        model: a model's name, a checkpoint's path, or a network.

    Raises:
        InputError: there is no such model.
    """

    def __init__(self, model: str | Path | Isomer):
        self._session = _load(model)
        self.workers = 1  # a call takes all cores
        self.stride = int(self._session.get_modelmeta().custom_metadata_map["stride"])

    def start(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        """See `Backend`."""
        probabilities = self(frames, flows)
        return lambda: probabilities

    def __call__(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Backend`."""
        (probabilities,) = self._session.run(None, {"frames": frames, "flows": flows})
        return np.asarray(probabilities)


def _load(model: str | Path | Isomer) -> onnxruntime.InferenceSession:
    weights = find_weights(model) if isinstance(model, (str, Path)) else None
    if weights is None:
        return _session(_convert(model))
    with converted(
        weights,
        ("onnx", "onnxscript", "torch"),
        lambda folder: _save(_convert(weights), folder / "network.onnx"),
    ) as folder:
        return _session(str(folder / "network.onnx"))


def _session(network: str | bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])


def _save(network: bytes, path: Path) -> None:
    path.write_bytes(network)


def _convert(model: str | Path | Isomer) -> bytes:
    from isomer.model.network import Isomer
    from isomer.model.zoo import create_model
    from isomer.segment.conversion import graph_of, to_onnx

    network = model if isinstance(model, Isomer) else create_model(model)
    serialized: bytes = to_onnx(graph_of(network)).model_proto.SerializeToString()
    return serialized

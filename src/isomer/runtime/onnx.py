"""ONNX Runtime: the portable one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.model.weights import find_checkpoint, find_graph
from isomer.runtime.cache import folder_of, kept_or_made

if TYPE_CHECKING:
    from isomer.model.network import Isomer

_STRIDE = "stride"  # in the file's metadata


class OnnxBackend:
    """The network in ONNX Runtime on the CPU; see `Backend`.

    Args:
        model: a model's name, a checkpoint's path, a network, or the path of what `isomer export` wrote, `.onnx`.

    Raises:
        InputError: there is no such model, or the file is none that `isomer export` writes.
        MissingPackageError: the model is a checkpoint, and PyTorch, which converts it, is not installed.
    """

    def __init__(self, model: str | Path | Isomer):
        self._session = _load(model)
        self.workers = 1  # a call takes all cores
        self.stride = int(self._session.get_modelmeta().custom_metadata_map[_STRIDE])

    def start(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        """See `Backend`."""
        probabilities = self(frames, flows)
        return lambda: probabilities

    def __call__(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Backend`."""
        (probabilities,) = self._session.run(None, {"frames": frames, "flows": flows})
        return np.asarray(probabilities)


def _load(model: str | Path | Isomer) -> onnxruntime.InferenceSession:
    if not isinstance(model, (str, Path)):
        return _open(_convert(model))[1]
    if graph := find_graph(model):
        return _read(graph)
    checkpoint = find_checkpoint(model)
    return kept_or_made(
        folder_of(checkpoint, ("onnx", "onnxscript", "torch")) if checkpoint else None,
        lambda folder: _open((folder / "network.onnx").read_bytes()),
        lambda: _open(_convert(model)),
        lambda opened, folder: (folder / "network.onnx").write_bytes(opened[0]),
    )[1]


def _read(path: Path) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        _, session = _open(path.read_bytes())
    except Exception as error:  # ONNX Runtime's have no common base of their own
        raise InputError(f"{path}: not a readable ONNX file; export it again") from error
    if _STRIDE not in session.get_modelmeta().custom_metadata_map or session.get_inputs()[0].type != "tensor(uint8)":
        raise InputError(f"{path}: takes no images; export it again, not raw")
    return session


def _open(network: bytes) -> tuple[bytes, onnxruntime.InferenceSession]:
    return network, onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])


def _convert(model: str | Path | Isomer) -> bytes:
    from isomer.model.zoo import create_model

    network = create_model(model) if isinstance(model, (str, Path)) else model
    from isomer.runtime.conversion import graph_of, to_onnx

    serialized: bytes = to_onnx(graph_of(network)).model_proto.SerializeToString()
    return serialized

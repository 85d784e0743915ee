"""OpenVINO: the fastest on Intel and AMD processors."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from isomer.model.weights import find_weights
from isomer.segment.cache import converted

if TYPE_CHECKING:
    from isomer.model.network import Isomer

_CPU_FLAGS = Path("/proc/cpuinfo")


class OpenVINOBackend:
    """The network in OpenVINO on the CPU; see `Backend`.

    Args:
        model: a model's name, a checkpoint's path, or a network.

    Raises:
        InputError: there is no such model.
    """

    def __init__(self, model: str | Path | Isomer):
        self._core = ov.Core()
        self._model = _load(self._core, model)
        self.stride = int(self._model.get_rt_info(["isomer", "stride"]).value)
        self._request_for = lru_cache(maxsize=4)(self._compile)

    def __call__(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Backend`."""
        request = self._request_for(frames.shape)
        (probabilities,) = request.infer([frames, flows], share_inputs=True).values()
        return np.asarray(probabilities)

    def _compile(self, shape: tuple[int, ...]) -> ov.InferRequest:
        """Compile for one shape: two thirds of the time that free shapes take."""
        model = self._model.clone()
        model.reshape({port: ov.PartialShape(shape) for port in model.inputs})
        options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _precision()}
        return self._core.compile_model(model, "CPU", options).create_infer_request()


def _load(core: ov.Core, model: str | Path | Isomer) -> ov.Model:
    weights = find_weights(model) if isinstance(model, (str, Path)) else None
    if weights is None:
        return _convert(model)
    with converted(
        weights, ("openvino", "torch"), lambda folder: _save(_convert(weights), folder / "network.xml")
    ) as folder:
        return core.read_model(folder / "network.xml")


def _convert(model: str | Path | Isomer) -> ov.Model:
    from isomer.model.network import Isomer
    from isomer.model.zoo import create_model
    from isomer.segment.conversion import graph_of, to_openvino

    return to_openvino(graph_of(model if isinstance(model, Isomer) else create_model(model)))


def _save(model: ov.Model, path: Path) -> None:
    ov.save_model(model, path, compress_to_fp16=False)


def _precision() -> str:
    """Choose bfloat16 on processors with AMX; with AVX-512 alone it is slower than float32."""
    has_amx = _CPU_FLAGS.is_file() and "amx_bf16" in _CPU_FLAGS.read_text()
    return "bf16" if has_amx else "f32"

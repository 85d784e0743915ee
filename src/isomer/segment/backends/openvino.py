"""OpenVINO: the fastest on Intel and AMD processors."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.model.weights import find_weights
from isomer.segment.backends.backend import is_ir
from isomer.segment.cache import cache_folder, converted

if TYPE_CHECKING:
    from isomer.model.network import Isomer

_CPU_FLAGS = Path("/proc/cpuinfo")
_MOST_WORKERS = 4  # each holds the memory of a whole pass


@cache
def core() -> ov.Core:
    """Return the process's one OpenVINO.

    Where two are ended, the thread that compiled in both keeps a signal stack that is no longer there, and the next
    Ctrl-C is a segmentation fault (OpenVINO 2026.4).
    """
    return ov.Core()


class OpenVINOBackend:
    """The network in OpenVINO on the CPU; see `Backend`.

    Args:
        model: a model's name, a checkpoint's path, a network, or the path of what `isomer export` wrote, `.xml`.
        workers: batches that may be computed side by side, at most four. They share the processor's cores: each
            takes longer than one alone would, but no core waits for another.

    Raises:
        InputError: there is no such model, or the file is none that `isomer export` writes.
    """

    def __init__(self, model: str | Path | Isomer, workers: int = 1):
        self._model, self._kept = _load(model)
        self.stride = int(self._model.get_rt_info(["isomer", "stride"]).value)
        self.workers = min(workers, _MOST_WORKERS)
        self._compiled_for = lru_cache(maxsize=4)(self._compiled)  # with requests that are free

    def start(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        """See `Backend`. By one thread: OpenVINO's Python binding can deadlock where two call it."""
        compiled, idle = self._compiled_for(frames.shape)
        request = idle.pop() if idle else compiled.create_infer_request()
        inputs = [frames, flows]
        request.start_async(inputs, share_inputs=True)

        def result() -> NDArray[np.float32]:
            request.wait()
            inputs.clear()  # until now, they had to stay in memory
            probabilities = np.array(request.get_output_tensor().data, np.float32)
            idle.append(request)
            return probabilities

        return result

    def __call__(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Backend`."""
        return self.start(frames, flows)()

    def compile(self, shape: tuple[int, ...], **options: object) -> ov.CompiledModel:
        """Compile for inputs of one shape, which then run faster than free ones.

        Args:
            shape: of `frames` and of `flows`; -1 leaves a dimension free.
            options: OpenVINO's properties, besides or instead of those that `__call__` compiles with.
        """
        model = self._model.clone()
        model.reshape({port: ov.PartialShape(list(shape)) for port in model.inputs})
        defaults: dict[str, object] = {"NUM_STREAMS": self.workers, "INFERENCE_PRECISION_HINT": _precision()}
        if self._kept:
            defaults["CACHE_DIR"] = str(self._kept)  # a known shape then takes less than half the time
        return core().compile_model(model, "CPU", defaults | options)

    def _compiled(self, shape: tuple[int, ...]) -> tuple[ov.CompiledModel, list[ov.InferRequest]]:
        return self.compile(shape), []


def _load(model: str | Path | Isomer) -> tuple[ov.Model, Path | None]:
    """Return the model and, if its conversion is kept, the folder where."""
    if is_ir(model):
        return _read(Path(str(model))), None
    weights = find_weights(model) if isinstance(model, (str, Path)) else None
    if weights is None:
        return _convert(model), None
    with converted(
        weights, ("openvino", "torch"), lambda folder: _save(_convert(weights), folder / "network.xml")
    ) as folder:
        is_kept = folder.parent == cache_folder() and os.access(folder, os.W_OK)
        return core().read_model(folder / "network.xml"), folder if is_kept else None


def _read(path: Path) -> ov.Model:
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        model = core().read_model(path)
    except RuntimeError as error:
        raise InputError(f"{path}: not an OpenVINO file with its .bin beside it; export it again") from error
    if not model.has_rt_info(["isomer", "stride"]) or model.inputs[0].element_type != ov.Type.u8:
        raise InputError(f"{path}: takes no images; write it with isomer export --format openvino, without --raw")
    return model


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

"""OpenVINO: the fastest on Intel and AMD processors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.model.weights import find_checkpoint, find_graph
from isomer.openvino_core import core, ov
from isomer.runtime.cache import folder_of, kept_or_made

if TYPE_CHECKING:
    from isomer.model.network import Isomer

_CPU_FLAGS = Path("/proc/cpuinfo")
_MOST_WORKERS = 4  # each holds the memory of a whole pass
_STRIDE = (["isomer", "stride"], ["framework", "stride"])  # of `to_openvino`, and where OpenVINO puts ONNX's metadata

_log = logging.getLogger(__name__)


class OpenVINOBackend:
    """The network in OpenVINO on the CPU; see `Backend`.

    Args:
        model: a model's name, a checkpoint's path, a network, or the path of what `isomer export` wrote, `.xml` or
            `.onnx`.
        workers: batches that may be computed side by side, at most four. They share the processor's cores: each
            takes longer than one alone would, but no core waits for another.

    Raises:
        InputError: there is no such model, or the file is none that `isomer export` writes.
        MissingPackageError: the model is a checkpoint, and PyTorch, which converts it, is not installed.
    """

    def __init__(self, model: str | Path | Isomer, workers: int = 1):
        network, kept = _load(model)
        self.stride = int(network.get_rt_info(_stride_key(network)).value)
        self.workers = min(workers, _MOST_WORKERS)
        compile_for = self._compile = partial(_compile, network, kept, self.workers)

        @lru_cache(maxsize=4)
        def compiled_for(shape: tuple[int, ...]) -> tuple[ov.CompiledModel, list[ov.InferRequest]]:
            return compile_for(shape), []  # with requests that are free

        # It does not know `self`, so no cycle forms: a network left to the garbage collector would be torn down in
        # whatever thread that next runs in, amid the calls of another.
        self._compiled_for = compiled_for

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
        return self._compile(shape, **options)


def _compile(
    network: ov.Model, kept: Path | None, streams: int, shape: tuple[int, ...], **options: object
) -> ov.CompiledModel:
    model = network.clone()
    model.reshape({port: ov.PartialShape(list(shape)) for port in model.inputs})
    settings = {"NUM_STREAMS": streams, "INFERENCE_PRECISION_HINT": _precision()} | options
    if kept:
        try:  # a known shape then takes less than half the time
            return core().compile_model(model, "CPU", settings | {"CACHE_DIR": str(kept)})
        except RuntimeError:
            _log.info("%s: unreadable or full; the network is compiled without it", kept)
    return core().compile_model(model, "CPU", settings)


def _load(model: str | Path | Isomer) -> tuple[ov.Model, Path | None]:
    """Return the model and, if what it compiles to is to be kept, the folder where."""
    if not isinstance(model, (str, Path)):
        return _convert(model), None
    graph, checkpoint = find_graph(model), find_checkpoint(model)
    if graph and graph.suffix == ".xml":
        return _read(graph), folder_of(graph, ("openvino",))
    if graph:
        folder = folder_of(graph, ("openvino",)) if graph.is_file() else None
    else:
        folder = folder_of(checkpoint, ("openvino", "torch")) if checkpoint else None
    network = kept_or_made(
        folder,
        lambda kept: core().read_model(kept / "network.xml"),
        lambda: _folded(_read(graph)) if graph else _convert(model),
        lambda network, made: ov.save_model(network, made / "network.xml", compress_to_fp16=False),
    )
    return network, folder


def _folded(model: ov.Model) -> ov.Model:
    """Turn constants stored as float16 into float32, which each start would do again to find out shapes."""
    from openvino.passes import ConstantFolding, Manager

    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)
    return model


def _read(path: Path) -> ov.Model:
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        model = core().read_model(path)
    except RuntimeError as error:
        what = "an OpenVINO file with its .bin beside it" if path.suffix == ".xml" else "a readable ONNX file"
        raise InputError(f"{path}: not {what}; export it again") from error
    if _stride_key(model) is None or model.inputs[0].element_type != ov.Type.u8:
        raise InputError(f"{path}: takes no images; export it again, not raw")
    return model


def _stride_key(model: ov.Model) -> list[str] | None:
    """Return where the model says its stride; None where it does not."""
    return next((key for key in _STRIDE if model.has_rt_info(key)), None)


def _convert(model: str | Path | Isomer) -> ov.Model:
    from isomer.model.zoo import create_model

    network = create_model(model) if isinstance(model, (str, Path)) else model
    from isomer.runtime.conversion import graph_of, to_openvino

    return to_openvino(graph_of(network))


def _precision() -> str:
    """Choose bfloat16 on processors with AMX; with AVX-512 alone it is slower than float32."""
    has_amx = _CPU_FLAGS.is_file() and "amx_bf16" in _CPU_FLAGS.read_text()
    return "bf16" if has_amx else "f32"

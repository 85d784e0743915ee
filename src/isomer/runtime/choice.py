"""The back end by its name, or the fastest one here."""

from __future__ import annotations

import logging
import platform
import sys
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from isomer.errors import ArgumentError, how_to_install, require
from isomer.model.weights import find_integers
from isomer.options import Options, options_of
from isomer.runtime.backend import Backend

if TYPE_CHECKING:
    from isomer.model.network import Isomer

_log = logging.getLogger(__name__)


def create_backend(
    model: str | Path | Isomer, name: str = "auto", device: str = "auto", workers: int = 1, precision: str = "float"
) -> Backend:
    """Load a model into what runs it.

    Args:
        model: a model's name, a checkpoint's path, a network, or what `isomer export` wrote: `.onnx`, or `.xml` for
            OpenVINO alone.
        name: one of `isomer.options.BACKENDS`. `auto` takes PyTorch for a GPU and for a network that is in memory
            already, and otherwise OpenVINO, the fastest on a CPU, or ONNX Runtime where that alone is installed.
        device: a torch device, or `auto`. OpenVINO and ONNX Runtime run on the CPU.
        workers: batches that may be computed side by side; a back end takes fewer where it gains nothing.
        precision: one of `isomer.options.PRECISIONS`; with `int8` OpenVINO takes the model's form in 8-bit integers
            where it has one and the processor is one by Intel or AMD.

    Raises:
        InputError: no such model, back end or device.
        MissingPackageError: the back end is not installed, or PyTorch is not and the model is a checkpoint.
    """
    options_of(Options)["backend"].check("backend", name)
    if _is_ir(model) and name not in ("auto", "openvino"):
        raise ArgumentError("backend", name, f"{model} is an OpenVINO file; leave the back end out, or name openvino")
    if name != "auto":
        return _load(model, name, device, workers, precision)
    name = _fastest(model, device)
    backend = _load(model, name, device, workers, precision)
    _log.info("the network runs in %s, which was chosen for this machine", name)
    return backend


def _load(model: str | Path | Isomer, name: str, device: str, workers: int, precision: str) -> Backend:
    if name == "torch":
        require(f"the back end {name}", "torch", "torch", "safetensors")
        from isomer.runtime.pytorch import TorchBackend

        return TorchBackend(model, device)
    if device not in ("auto", "cpu"):
        raise ArgumentError("device", device, f"{name} runs on the CPU; the back end torch runs on other devices")
    if name == "openvino":
        require(f"the back end {name}", "openvino", "openvino")
        from isomer.runtime.openvino import OpenVINOBackend

        return OpenVINOBackend((precision == "int8" and _in_integers(model)) or model, workers)
    require(f"the back end {name}", "onnx", "onnxruntime")
    from isomer.runtime.onnx import OnnxBackend

    return OnnxBackend(model)


def _fastest(model: str | Path | Isomer, device: str) -> str:
    if not isinstance(model, (str, Path)):
        return "torch"
    if _is_ir(model):
        return "openvino"
    if device not in ("auto", "cpu") or (device == "auto" and _gpu_is_usable()):
        return "torch"
    if find_spec("openvino"):
        return "openvino"
    return "onnx" if find_spec("onnxruntime") else "torch"


def _in_integers(model: str | Path | Isomer) -> Path | None:
    """Return a model's form in 8-bit integers, where it has one and that is faster: not on ARM."""
    is_x86 = platform.machine() in ("x86_64", "AMD64")
    return find_integers(model) if is_x86 and isinstance(model, str) else None


def _is_ir(model: object) -> bool:
    """Tell whether a model is given by the path of an OpenVINO file (its "intermediate representation")."""
    return isinstance(model, (str, Path)) and str(model).endswith(".xml")


def has_gpu_driver() -> bool:
    """Tell whether the driver of a GPU that PyTorch may use is here; Macs come with one."""
    return sys.platform == "darwin" or any(map(find_library, ("cuda", "nvcuda", "amdhip64")))


def _gpu_is_usable() -> bool:
    """Ask PyTorch only where there is a GPU driver: importing it takes seconds."""
    if not has_gpu_driver():
        return False
    if find_spec("torch") is None:
        if sys.platform != "darwin":
            _log.info("a GPU is here, but not PyTorch, which would use it; %s", how_to_install("torch"))
        return False
    from isomer.runtime.pytorch import best_device

    if best_device() != "cpu":
        return True
    if sys.platform != "darwin":
        _log.info("a GPU is here, but this PyTorch cannot use it: isomer doctor says why")
    return False

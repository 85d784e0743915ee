"""The back end by its name, or the fastest one here."""

from __future__ import annotations

import logging
import sys
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from isomer.errors import InputError
from isomer.segment.backends.backend import Backend, is_ir

if TYPE_CHECKING:
    from isomer.model.network import Isomer

BACKENDS = ("auto", "torch", "openvino", "onnx")

_PACKAGES = {"openvino": ("openvino",), "onnx": ("onnxruntime", "onnx", "onnxscript")}

_log = logging.getLogger(__name__)


def create_backend(model: str | Path | Isomer, name: str = "auto", device: str = "auto", workers: int = 1) -> Backend:
    """Load a model into what runs it.

    Args:
        model: a model's name, a checkpoint's path, a network, or an exported OpenVINO file, `.xml`.
        name: one of BACKENDS. `auto` takes PyTorch for a GPU and for a network that is in memory already, and
            otherwise OpenVINO if it is installed: on a CPU it is the fastest. An OpenVINO file always runs in it.
        device: a torch device, or `auto`. OpenVINO and ONNX Runtime run on the CPU.
        workers: batches that may be computed side by side; a back end takes fewer where it gains nothing.

    Raises:
        InputError: no such model, back end or device, or the back end is not installed.
    """
    if name not in BACKENDS:
        raise InputError(f"--backend {name}: unknown; choose from {', '.join(BACKENDS)}")
    if is_ir(model) and name not in ("auto", "openvino"):
        raise InputError(f"--backend {name}: {model} is an OpenVINO file; leave the back end out, or name openvino")
    if name != "auto":
        return _load(model, name, device, workers)
    name = _fastest(model, device)
    backend = _load(model, name, device, workers)
    _log.info("the network runs in %s; --backend (backend=) chooses another", name)
    return backend


def _load(model: str | Path | Isomer, name: str, device: str, workers: int) -> Backend:
    if name == "torch":
        from isomer.segment.backends.pytorch import TorchBackend

        return TorchBackend(model, device)
    if device not in ("auto", "cpu"):
        raise InputError(f"--device {device}: {name} runs on the CPU; use --backend torch for other devices")
    if any(find_spec(package) is None for package in _PACKAGES[name]):
        raise InputError(f"--backend {name}: not installed; pip install 'isomer-vos[{name}]'")
    if name == "openvino":
        from isomer.segment.backends.openvino import OpenVINOBackend

        return OpenVINOBackend(model, workers)
    from isomer.segment.backends.onnx import OnnxBackend

    return OnnxBackend(model)


def _fastest(model: str | Path | Isomer, device: str) -> str:
    if is_ir(model):
        return "openvino"
    on_cpu = device == "cpu" or (device == "auto" and not _gpu_is_there())
    is_file = isinstance(model, (str, Path))
    return "openvino" if on_cpu and is_file and find_spec("openvino") else "torch"


def _gpu_is_there() -> bool:
    """Ask PyTorch only where there is a GPU driver: importing it takes seconds."""
    if sys.platform != "darwin" and not any(map(find_library, ("cuda", "nvcuda", "amdhip64"))):
        return False
    from isomer.segment.backends.pytorch import best_device

    return best_device() != "cpu"

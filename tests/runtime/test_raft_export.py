from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isomer.data.synthetic.scene import Scene

torch = pytest.importorskip("torch", reason="needs PyTorch")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from isomer.model.raft import RAFTSmall  # noqa: E402
from isomer.runtime.raft import export_raft  # noqa: E402


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13), reason="exported with PyTorch 2.13 and newer"
)
def test_the_file_computes_what_pytorch_does_and_says_nothing_of_where_it_was_made(
    tmp_path: Path, scene: Scene
) -> None:
    torch.manual_seed(0)
    network = RAFTSmall().eval()
    export_raft(network, tmp_path / "raft.onnx")
    assert str(Path(torch.__file__).parent).encode() not in (tmp_path / "raft.onnx").read_bytes()
    session = onnxruntime.InferenceSession(tmp_path / "raft.onnx", providers=["CPUExecutionProvider"])
    images = np.stack([scene.render(index)[0][:64, :136] for index in (0, 2)])[:, None]
    for iterations in (0, 3):
        inputs = {"source": images[0], "target": images[1], "iterations": np.array(iterations)}
        (found,) = session.run(None, inputs)
        with torch.inference_mode():
            source, target = torch.from_numpy(images).permute(0, 1, 4, 2, 3)
            expected = network(source, target, iterations).permute(0, 2, 3, 1).numpy()
        assert expected.any() == (iterations > 0)
        np.testing.assert_allclose(found, expected, atol=1e-4)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from isomer.model.encoders.efficientnet import EfficientNetLite0  # noqa: E402
from isomer.runtime.features import CELL, LooksNetwork, export_looks  # noqa: E402


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13), reason="exported with PyTorch 2.13 and newer"
)
def test_the_file_computes_what_pytorch_does_and_says_nothing_of_where_it_was_made(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = LooksNetwork(EfficientNetLite0()).eval()
    for parameter in network.parameters():  # what float16 can hold
        parameter.data = parameter.data.half().float()
    file = tmp_path / "looks.onnx"
    export_looks(network, file)
    assert str(Path(torch.__file__).parent).encode() not in file.read_bytes()
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).integers(0, 256, (1, 96, 160, 3), np.uint8)
    (found,) = session.run(None, {"image": image})
    with torch.inference_mode():
        expected = network(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())
    colours = image.reshape(12, CELL, 20, CELL, 3).mean((1, 3))
    np.testing.assert_allclose(found[0, ..., -3:], colours, atol=1e-3)

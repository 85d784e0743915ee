from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from isomer.cli.main import main
from isomer.errors import InputError
from isomer.model.network import Isomer
from isomer.segment import export
from isomer.segment.export import FORMATS, export_network


@pytest.mark.parametrize("processing", [True, False])
def test_openvino_computes_the_same_for_any_batch_and_size(network: Isomer, tmp_path: Path, processing: bool) -> None:
    ov = pytest.importorskip("openvino")
    assert export_network(network, tmp_path / "net.xml", "openvino", processing=processing) < 1e-3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.bin", "net.xml"]
    compiled = ov.Core().compile_model(tmp_path / "net.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 32, 128, 3), np.uint8)
    mean, std = (np.float32(values) for values in (network.mean, network.std))
    normalised = ((images / np.float32(255) - mean) / std).transpose(0, 1, 4, 2, 3)
    with torch.inference_mode():
        logits = network(*torch.from_numpy(normalised))
    inputs = images if processing else normalised
    (found,) = compiled({"frames": inputs[0], "flows": np.ascontiguousarray(inputs[1])}).values()
    expected = logits.sigmoid()[:, 0] if processing else logits
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3 if processing else 2e-2)


def test_onnx_by_the_command_line(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    assert main(["export", str(weights), "-o", str(tmp_path / "net.onnx"), "--format", "onnx"]) == 0
    assert "differ from PyTorch's by at most" in capsys.readouterr().out
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert [(port.name, port.type) for port in session.get_inputs()] == [
        ("frames", "tensor(uint8)"),
        ("flows", "tensor(uint8)"),
    ]
    assert [port.name for port in session.get_outputs()] == ["probabilities"]


def test_torch_program_loads_without_the_packages_classes(network: Isomer, tmp_path: Path) -> None:
    assert export_network(network, tmp_path / "net.pt2", "torch") < 1e-3
    code = (
        "import sys, torch; program = torch.export.load(sys.argv[1]).module();"
        "images = torch.zeros(1, 96, 64, 3, dtype=torch.uint8);"
        "assert program(images, images.clone()).shape == (1, 96, 64); assert 'isomer' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "net.pt2")], check=True)


def test_a_wrong_suffix_is_refused(network: Isomer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"net\.bin: not a name for this format; end it in \.xml"):
        export_network(network, tmp_path / "net.bin", "openvino")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_computes_something_else_is_not_kept(
    network: Isomer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    load = FORMATS["openvino"].load
    swapped = FORMATS["openvino"]._replace(load=lambda path: lambda x, y: load(path)(y, x))
    monkeypatch.setitem(export.FORMATS, "openvino", swapped)
    with pytest.raises(RuntimeError, match="differs from PyTorch's"):
        export_network(network, tmp_path / "net.xml", "openvino")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named(network: Isomer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs openvino; pip install 'isomer-vos\[openvino\]'"):
        export_network(network, tmp_path / "net.xml", "openvino")

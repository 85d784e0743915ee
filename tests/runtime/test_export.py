from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from isomer.cli import export as cli_export
from isomer.cli.main import main
from isomer.data.synthetic.clip import SceneFrames, write_clip
from isomer.data.synthetic.scene import Scene
from isomer.errors import InputError
from isomer.media import open_frames
from isomer.model.network import Isomer
from isomer.runtime import create_backend, export
from isomer.runtime.export import FORMATS, export_network
from isomer.runtime.quantization import export_int8
from isomer.segment import Segmenter


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
    monkeypatch.setattr("isomer.errors.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'needs openvino; in Isomer.s folder, run: pip install "\.\[export\]"'):
        export_network(network, tmp_path / "net.xml", "openvino")


def test_the_command_knows_the_suffixes() -> None:
    assert {name: form.suffix for name, form in FORMATS.items()} | {"package": ".onnx"} == cli_export._SUFFIXES


@pytest.fixture
def clip(scene: Scene, tmp_path: Path) -> Path:
    write_clip(SceneFrames(scene, 8, Fraction(25)), tmp_path / "clip.mp4")
    return tmp_path / "clip.mp4"


def test_int8_runs_as_a_model_and_says_how_close_it_comes(
    weights: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("nncf")
    ov = pytest.importorskip("openvino")
    out = tmp_path / "int8" / "net.xml"
    out.parent.mkdir()
    assert main(["export", str(weights), "-o", str(out), "--format", "openvino", "--int8", str(clip)]) == 0
    said = re.search(r"over 2 frames held back, .* by (\S+) in the mean, .* J = (\S+)", capsys.readouterr().out)
    assert said
    kinds = [(node.get_type_name(), node.get_output_element_type(0)) for node in ov.Core().read_model(out).get_ops()]
    assert sum(kind == "FakeQuantize" for kind, _ in kinds) > 50
    assert sum(kind == "Constant" and str(dtype) == "<Type: 'int8_t'>" for kind, dtype in kinds) > 50

    seen = list(Segmenter(weights, backend="torch", key_interval=1).inputs(open_frames(clip)))
    inputs = [np.concatenate(images) for images in zip(*seen[3::4], strict=True)]
    expected, found = create_backend(weights, "torch", "cpu")(*inputs), create_backend(out)(*inputs)
    assert float(said[1]) == pytest.approx(float(np.abs(found - expected).mean()), rel=0.1)
    masks = zip(expected >= 0.5, found >= 0.5, strict=True)
    assert float(said[2]) == pytest.approx(np.mean([(a & b).sum() / (a | b).sum() for a, b in masks]), abs=0.02)
    np.testing.assert_array_equal(found, create_backend(str(out), "openvino")(*inputs))
    assert 0 < np.abs(found - expected).mean() < 0.1
    for height, width in ((32, 64), (160, 96)):  # none that it was calibrated on
        images = np.zeros((2, height, width, 3), np.uint8)
        assert create_backend(out)(images, images).shape == (2, height, width)


@pytest.mark.parametrize("options", [["--format", "onnx"], ["--format", "openvino", "--raw"]])
def test_int8_is_for_openvino_with_processing(
    weights: Path, clip: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(weights), *options, "--int8", str(clip)]) == 2
    assert "--int8: only with --format openvino, and not with --raw" in capsys.readouterr().err


def test_int8_names_its_package(network: Isomer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr("isomer.errors.find_spec", lambda name: None if name == "nncf" else find_spec(name))
    with pytest.raises(InputError, match=r'8-bit integers: needs nncf; .*pip install "\.\[int8\]"'):
        export_int8(network, tmp_path / "net.xml", [])


def test_int8_wants_frames_enough(network: Isomer, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    image = np.zeros((1, 32, 64, 3), np.uint8)
    with pytest.raises(InputError, match="3 frames are too few to calibrate on"):
        export_int8(network, tmp_path / "net.xml", [(image, image)] * 3)
    assert not (tmp_path / "net.xml").exists()

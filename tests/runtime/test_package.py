"""The network in the package: what runtimes read is what PyTorch reads, and nothing of the main job needs PyTorch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import isomer
from isomer.data.synthetic.clip import SceneFrames
from isomer.data.synthetic.drawn import draw_scene
from isomer.metrics import RegionSimilarity
from isomer.model.weights import EMBEDDED, find_integers
from isomer.model.zoo import list_models
from isomer.segment import Segmenter

SHIPPED = [name for name in list_models() if (EMBEDDED / f"{name}.safetensors").is_file()]


@pytest.mark.parametrize("model", SHIPPED)
def test_graph_and_checkpoint_are_one_network(model: str) -> None:
    pytest.importorskip("torch")
    frames = SceneFrames(draw_scene(np.random.default_rng(3), (428, 240)), 8)
    options = {"size": 320, "key_interval": 1, "edges": "map", "precision": "float"}
    expected = [r.probability for r in Segmenter(model, backend="torch", device="cpu", **options)(frames)]
    for backend in ("openvino", "onnx"):
        pytest.importorskip({"openvino": "openvino", "onnx": "onnxruntime"}[backend])
        similarity = RegionSimilarity()
        for result in Segmenter(model, backend=backend, **options)(frames):
            maps = result.probability, expected[result.index]
            assert np.abs(np.subtract(*maps)).max() < 1e-3
            similarity.step(*(np.where(p >= 0.5, 255, 0).astype(np.uint8) for p in maps))
        assert similarity.result().mean > 0.9999


@pytest.mark.parametrize("model", [name for name in SHIPPED if find_integers(name)])
def test_in_integers_the_network_finds_nearly_the_same(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    frames = SceneFrames(draw_scene(np.random.default_rng(3), (428, 240)), 8)

    def maps(machine: str, **options: str) -> np.ndarray:
        monkeypatch.setattr("platform.machine", lambda: machine)
        segmenter = Segmenter(model, size=320, key_interval=1, edges="map", **options)
        return np.stack([result.probability for result in segmenter(frames)])

    expected, found = maps("x86_64", backend="openvino", precision="float"), maps("x86_64", backend="openvino")
    similarity = RegionSimilarity()
    for pair in zip(expected, found, strict=True):
        similarity.step(*(np.where(map_ >= 0.5, 255, 0).astype(np.uint8) for map_ in pair))
    assert 0.95 < similarity.result().mean < 1
    # Elsewhere, and in what has no integers, it stays as it is.
    np.testing.assert_array_equal(maps("arm64", backend="openvino"), expected)
    if find_spec("torch"):
        assert np.abs(maps("x86_64", backend="torch", device="cpu") - expected).max() < 1e-3


@pytest.mark.parametrize("model", SHIPPED)
def test_the_graph_is_half_the_size_of_float32(model: str) -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(EMBEDDED / f"{model}.onnx").graph
    kernels = [tensor for tensor in graph.initializer if len(tensor.dims) > 1]
    assert {tensor.data_type for tensor in kernels} == {onnx.TensorProto.FLOAT16}


def test_segmenting_imports_no_pytorch(tmp_path: Path) -> None:
    """In a process of its own, in which PyTorch cannot be imported at all."""
    pytest.importorskip("openvino")
    code = (
        "import sys; sys.modules['torch'] = sys.modules['safetensors'] = None;"
        "from isomer.cli.main import main;"
        "sys.exit(main(['segment', sys.argv[1], '-o', sys.argv[2], '--output', 'masks', '--stride', '24', '-q']))"
    )
    clip = Path(__file__).resolve().parents[2] / "examples" / "clip.mp4"
    done = subprocess.run([sys.executable, "-c", code, clip, tmp_path / "masks"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "masks").iterdir())) == 3


def test_openvino_reports_to_nobody() -> None:
    """Its package that would is not imported by us, and can be by others."""
    pytest.importorskip("openvino_telemetry")
    code = (
        "import sys; from isomer.runtime import create_backend; "
        "create_backend('isomer_efficientnet_lite0', 'openvino');"
        "assert 'openvino_telemetry' not in sys.modules; import openvino_telemetry"
    )
    environment = {name: value for name, value in os.environ.items() if name != "CI"}  # where it is silent by itself
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_openvino_is_imported_in_one_place() -> None:
    home = Path(isomer.__file__).parent
    direct = {
        file.relative_to(home).as_posix()
        for file in home.rglob("*.py")
        for node in ast.parse(file.read_text()).body
        if not isinstance(node, ast.If)  # imports for type checkers
        for part in ast.walk(node)
        if isinstance(part, ast.Import) and any(alias.name == "openvino" for alias in part.names)
    }
    assert direct == {"openvino_core.py"}


def test_a_checkpoint_of_ones_own_asks_for_pytorch(tmp_path: Path) -> None:
    (tmp_path / "own.safetensors").write_bytes(b"weights")
    code = (
        "import sys; import importlib.util as util; found = util.find_spec;"
        "util.find_spec = lambda name, *rest: None if name == 'torch' else found(name, *rest);"
        "from isomer.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    clip = Path(__file__).resolve().parents[2] / "examples" / "clip.mp4"
    words = ["segment", clip, "--model", tmp_path / "own.safetensors", "-o", tmp_path / "out.mp4"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        'isomer: own.safetensors: needs torch; in Isomer\'s folder, run: pip install ".[torch]"'
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.safetensors"]


def test_reading_a_checkpoint_in_python_asks_for_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isomer.errors.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'isomer\.load_checkpoint: needs torch; .*pip install "\.\[torch\]"'):
        _ = isomer.load_checkpoint

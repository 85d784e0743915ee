from __future__ import annotations

import gc
import logging
import shutil
import subprocess
import sys
import weakref
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.data.synthetic.scene import Scene
from isomer.errors import InputError
from isomer.flow import flow_to_image
from isomer.model.network import Isomer
from isomer.runtime import create_backend
from isomer.runtime.export import export_network
from isomer.runtime.pytorch import TorchBackend
from isomer.segment import Segmenter

Image = NDArray[np.uint8]

_PACKAGES = {"openvino": ["openvino"], "onnx": ["onnxruntime", "onnx", "onnxscript"]}


@pytest.fixture(params=list(_PACKAGES))
def backend_name(request: pytest.FixtureRequest) -> str:
    for package in _PACKAGES[request.param]:
        pytest.importorskip(package)
    return str(request.param)


@pytest.fixture(scope="session")
def inputs(scene: Scene) -> tuple[Image, Image]:
    rendered = [scene.render(index)[0][:96, :160] for index in range(3)]
    flows = [flow_to_image(scene.flow(index, index + 1)[:96, :160]) for index in range(3)]
    return np.stack(rendered), np.stack(flows)


def agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """J of two maps' masks, over all frames."""
    first, second = one >= 0.5, other >= 0.5
    return float((first & second).sum() / (first | second).sum())


def test_masks_agree_with_pytorch_whatever_the_size_and_batch(
    backend_name: str, weights: Path, network: Isomer, inputs: tuple[Image, Image]
) -> None:
    reference, backend = TorchBackend(network, "cpu"), create_backend(weights, backend_name)
    assert backend.stride == network.stride
    for part in (np.s_[:], np.s_[:1, :64, :96], np.s_[1:, :32, :160]):
        frames, flows = (np.ascontiguousarray(images[part]) for images in inputs)
        expected, found = reference(frames, flows), backend(frames, flows)
        assert found.dtype == np.float32
        assert found.shape == frames.shape[:3]
        assert 0.02 < (expected >= 0.5).mean() < 0.98  # a comparison of something
        np.testing.assert_allclose(found, expected, atol=2e-2)
        assert agreement(found, expected) >= 0.995


def test_frame_and_flow_are_not_mixed_up(backend_name: str, weights: Path, inputs: tuple[Image, Image]) -> None:
    backend = create_backend(weights, backend_name)
    assert np.abs(backend(*inputs) - backend(*inputs[::-1])).max() > 0.1


def test_results_are_not_overwritten_by_the_next(backend_name: str, weights: Path, inputs: tuple[Image, Image]) -> None:
    backend = create_backend(weights, backend_name)
    first = backend(*inputs)
    kept = first.copy()
    backend(*inputs[::-1])
    np.testing.assert_array_equal(first, kept)


def test_a_network_goes_with_its_backend(backend_name: str, weights: Path, inputs: tuple[Image, Image]) -> None:
    """The garbage collector may run in any thread, amid a call of another network."""
    backend = create_backend(weights, backend_name)
    backend(*inputs)
    gone = weakref.ref(backend)
    gc.disable()
    try:
        del backend
        assert gone() is None
    finally:
        gc.enable()


def test_a_network_is_converted_once(
    backend_name: str,
    weights: Path,
    cache: Path,
    inputs: tuple[Image, Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = create_backend(weights, backend_name)(*inputs)
    kept = sorted(cache.iterdir())
    monkeypatch.setattr("isomer.runtime.conversion.graph_of", None)  # a second conversion would fail
    np.testing.assert_array_equal(create_backend(weights, backend_name)(*inputs), first)
    assert sorted(cache.iterdir()) == kept


def test_a_network_in_memory_runs_and_is_not_kept(network: Isomer, cache: Path, inputs: tuple[Image, Image]) -> None:
    pytest.importorskip("openvino")
    before = sorted(cache.iterdir()) if cache.exists() else []
    found = create_backend(network, "openvino")(*inputs)
    np.testing.assert_allclose(found, TorchBackend(network, "cpu")(*inputs), atol=2e-2)
    assert (sorted(cache.iterdir()) if cache.exists() else []) == before


def test_without_a_folder_to_keep_it_in_a_network_still_runs(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: tuple[Image, Image]
) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "isomer").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert create_backend(weights, "openvino")(*inputs).shape == inputs[0].shape[:3]


def test_automatic_choice_is_said_and_can_be_overridden(
    weights: Path, network: Isomer, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino")
    caplog.set_level(logging.INFO, "isomer")
    assert type(create_backend(weights, device="cpu")).__name__ == "OpenVINOBackend"
    assert "openvino" in caplog.text
    assert isinstance(create_backend(weights, "torch", "cpu"), TorchBackend)
    assert isinstance(create_backend(network, device="cpu"), TorchBackend)


def test_a_missing_package_is_named_with_its_extra(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> object:
        return None if name in ("openvino", "onnxruntime") else find_spec(name)

    monkeypatch.setattr("isomer.errors.find_spec", without)
    monkeypatch.setattr("isomer.runtime.choice.find_spec", without)
    with pytest.raises(InputError, match=r'pip install "\.\[openvino\]"'):
        create_backend(weights, "openvino")
    assert isinstance(create_backend(weights, device="cpu"), TorchBackend)


def test_a_kept_network_needs_no_pytorch(weights: Path) -> None:
    pytest.importorskip("openvino")
    create_backend(weights, "openvino")
    code = (
        "import sys; from isomer.segment import Segmenter;"
        f"Segmenter({str(weights)!r}, device='cpu'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_segmenters_of_both_back_ends_find_the_same(weights: Path, images: list[Image]) -> None:
    pytest.importorskip("openvino")
    maps = [
        np.stack([found.probability for found in Segmenter(weights, size=96, backend=name, device="cpu")(images)])
        for name in ("torch", "openvino")
    ]
    assert agreement(*maps) >= 0.995


def test_a_stream_left_early_harms_no_later_one(weights: Path, images: list[Image]) -> None:
    """Of a segmenter that works on several frames at once, results that nobody took."""
    pytest.importorskip("openvino")
    segmenter = Segmenter(weights, size=96, backend="openvino")
    segmenter._backend.workers = 3
    expected = list(Segmenter(weights, size=96, backend="openvino", ahead=0)(images))
    for left in (1, 2, 3):
        stream = segmenter(images)
        for _ in range(left):
            next(stream)
        stream.close()
    for found, right in zip(segmenter(images), expected, strict=True):
        assert found.index == right.index
        np.testing.assert_allclose(found.probability, right.probability, atol=1e-4)


@pytest.fixture(scope="session")
def exported(network: Isomer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("openvino")
    path = tmp_path_factory.mktemp("exported") / "net.xml"
    export_network(network, path, "openvino")
    return path


def test_an_exported_file_is_a_model(exported: Path, network: Isomer, inputs: tuple[Image, Image]) -> None:
    expected = create_backend(network, "openvino")(*inputs)
    for model, name in ((exported, "auto"), (str(exported), "openvino")):
        np.testing.assert_array_equal(create_backend(model, name)(*inputs), expected)
    with pytest.raises(InputError, match=r"backend=torch: .*net\.xml is an OpenVINO file"):
        create_backend(exported, "torch")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no such file"),
        (lambda path: path.with_suffix(".bin").unlink(), "with its .bin beside it"),
        (lambda path: path.write_text("no XML"), "not an OpenVINO file"),
        (lambda path: path.write_text(path.read_text().replace("stride", "pace")), "takes no images"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused(
    exported: Path, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    for file in exported.parent.iterdir():
        shutil.copy(file, tmp_path)
    damage(tmp_path / exported.name)
    with pytest.raises(InputError, match=rf"net\.xml: .*{message}") as caught:
        create_backend(tmp_path / exported.name)
    assert "\n" not in str(caught.value)

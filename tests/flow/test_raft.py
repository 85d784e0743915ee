from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.data.synthetic.scene import Scene
from isomer.errors import InputError, MissingPackageError
from isomer.flow import DISFlow, Flow, RAFTFlow, create_flow
from isomer.media import Frame

Image = NDArray[np.uint8]
Run = Callable[[Image, Image, int, int], Flow]
"""From source, target, size and iterations."""

PAIRS = {"goat": 192, "bmx": 300}
"""The reference's pairs, and the size at which `RAFTFlow` leaves them as they are."""


def in_pytorch(source: Image, target: Image, size: int, iterations: int) -> Flow:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    pytest.importorskip("onnx", reason="the shipped weights are in an ONNX file")
    from isomer.model.raft import load_raft

    images = (torch.from_numpy(image).permute(2, 0, 1)[None] for image in (source, target))
    with torch.inference_mode():
        flow: Flow = load_raft()(*images, iterations)[0].permute(1, 2, 0).numpy()
    return flow


def in_openvino(source: Image, target: Image, size: int, iterations: int) -> Flow:
    pytest.importorskip("openvino")
    return RAFTFlow(iterations, size, "openvino").between(source, target)


def in_onnxruntime(source: Image, target: Image, size: int, iterations: int) -> Flow:
    pytest.importorskip("onnxruntime")
    return RAFTFlow(iterations, size, "onnx").between(source, target)


@pytest.mark.parametrize("iterations", [1, 4, 12])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("run", [in_openvino, in_onnxruntime, in_pytorch])
def test_flow_is_that_of_the_authors_code(shared: Path, run: Run, pair: str, iterations: int) -> None:
    expected = np.load(shared / "reference" / "expected_raft_small.npz")
    found = run(expected[f"{pair}_source"], expected[f"{pair}_target"], PAIRS[pair], iterations)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[f"{pair}_flow_{iterations}"], atol=1e-3)


def test_the_shipped_weights_are_the_published_ones(shared: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    pytest.importorskip("onnx", reason="the shipped weights are in an ONNX file")
    from isomer.model.raft import load_raft

    published = load_raft(shared / "weights" / "raft_small.safetensors").state_dict()
    shipped = load_raft().state_dict()
    assert sum(tensor.numel() for tensor in shipped.values()) == 990_162
    assert all(torch.equal(shipped[name], tensor) for name, tensor in published.items())


@pytest.mark.parametrize("iterations", [1, 4, 12])
@pytest.mark.parametrize("run", [in_openvino, in_onnxruntime])
def test_runtimes_compute_what_pytorch_does_at_any_size(scene: Scene, run: Run, iterations: int) -> None:
    """Of 64, 104 and 128 pixels levels have 1, 2 and 3 cells a side, and some an odd number."""
    source, target = scene.render(0)[0], scene.render(3)[0]
    for height, width in ((64, 64), (104, 256), (128, 72)):
        size = round((height * width) ** 0.5)
        pair = [np.ascontiguousarray(image[:height, :width]) for image in (source, target)]
        expected = in_pytorch(*pair, size, iterations)
        found = run(*pair, size, iterations)
        assert found.shape == (height, width, 2)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def naive_window(level: NDArray[np.float64], x: float, y: float) -> Iterator[float]:
    """The definition, point by point: bilinear, zero outside, x slow and y fast."""
    for i in range(-3, 4):
        for j in range(-3, 4):
            column, row = int(np.floor(x + i)), int(np.floor(y + j))
            right, below = x + i - column, y + j - row
            yield sum(
                weight * level[r, c]
                for r, c, weight in (
                    (row, column, (1 - right) * (1 - below)),
                    (row, column + 1, right * (1 - below)),
                    (row + 1, column, (1 - right) * below),
                    (row + 1, column + 1, right * below),
                )
                if 0 <= r < level.shape[0] and 0 <= c < level.shape[1]
            )


def test_correlations_are_looked_up_as_they_are_defined() -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    from isomer.model import raft

    rng = np.random.default_rng(0)
    height, width = 9, 13
    source, target = rng.normal(size=(2, 2, 128, height, width))
    flow = rng.normal(scale=4, size=(2, 2, height, width))
    flow[:, :, 0] = np.array([40, -40])[:, None]  # far outside
    flow[1, :, 1] = np.round(flow[1, :, 1])  # on cells
    found = raft._look_up(raft._correlated(torch.from_numpy(source), torch.from_numpy(target)), torch.from_numpy(flow))
    assert found.shape == (2, 196, height, width)
    for batch, row, column in [(0, 0, 0), (0, 4, 6), (0, 8, 12), (0, 5, 1), (1, 0, 3), (1, 1, 0), (1, 7, 12)]:
        level = np.einsum("c,chw->hw", source[batch, :, row, column], target[batch]) / np.sqrt(128)
        x, y = column + flow[batch, 0, row, column], row + flow[batch, 1, row, column]
        expected = []
        for i in range(4):
            expected += naive_window(level, x / 2**i, y / 2**i)
            rows, columns = level.shape[0] // 2, level.shape[1] // 2
            level = level[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean((1, 3)) if rows else level
        np.testing.assert_allclose(found[batch, :, row, column].numpy(), expected, atol=1e-9)


def shifted(shift: tuple[int, int], size: tuple[int, int]) -> tuple[Frame, Frame]:
    """Two frames of a texture that moves by whole pixels."""
    noise = np.random.default_rng(0).uniform(0, 255, (size[1] + 32, size[0] + 32, 3)).astype(np.float32)
    wide = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    x, y = shift
    images = (wide[16 - dy : 16 - dy + size[1], 16 - dx : 16 - dx + size[0]] for dx, dy in ((0, 0), (x, y)))
    source, target = (Frame(i, np.ascontiguousarray(image), i / 24, f"{i:05d}") for i, image in enumerate(images))
    return source, target


@pytest.mark.parametrize("name", ["dis", "raft"])
def test_estimators_by_name_find_a_shift_in_pixels_of_their_own_grid(name: str) -> None:
    flow = create_flow(name)(*shifted((8, -4), (640, 480)))
    scale = flow.shape[1] / 640
    inside = flow[16:-16, 16:-16].reshape(-1, 2)
    np.testing.assert_allclose(np.median(inside, axis=0), (8 * scale, -4 * scale), atol=0.2)


@pytest.mark.parametrize(("iterations", "size"), [(0, 300), (12, 63)])
def test_arguments_out_of_range_are_refused(iterations: int, size: int) -> None:
    with pytest.raises(InputError, match=r"iterations=0: not positive|size=63: not between 64 and 1024"):
        RAFTFlow(iterations, size)


def test_an_unknown_estimator_is_refused_with_those_there_are() -> None:
    assert isinstance(create_flow("dis"), DISFlow)
    with pytest.raises(InputError, match="flow=farneback: not dis or raft"):
        create_flow("farneback")


@pytest.mark.parametrize(
    ("frame", "grid"),
    [((854, 480), (400, 224)), ((480, 854), (224, 400)), ((16, 16), (304, 304)), ((3000, 30), (3000, 64))],
)
def test_the_grid_has_the_aspect_of_the_frame_and_whole_cells(frame: tuple[int, int], grid: tuple[int, int]) -> None:
    blank = np.zeros((frame[1], frame[0], 3), np.uint8)
    flow = RAFTFlow(iterations=1).between(blank, blank)
    assert flow.shape == (grid[1], grid[0], 2)


def test_a_result_is_not_overwritten_by_the_next(scene: Scene) -> None:
    raft = RAFTFlow(iterations=1)
    images = [scene.render(index)[0] for index in range(3)]
    first = raft.between(images[0], images[1])
    kept = first.copy()
    raft.between(images[0], images[2])
    np.testing.assert_array_equal(first, kept)


def test_it_runs_without_pytorch() -> None:
    code = (
        "import sys, numpy as np; from isomer.flow import RAFTFlow; image = np.zeros((64, 64, 3), np.uint8);"
        "RAFTFlow(1, 64).between(image, image); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_openvino_it_runs_in_onnx_runtime_and_without_both_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("onnxruntime")
    missing = {"openvino"}

    def there(name: str) -> object:
        return None if name in missing else find_spec(name)

    monkeypatch.setattr("isomer.networks.find_spec", there)
    monkeypatch.setattr("isomer.errors.find_spec", there)
    blank = np.zeros((64, 64, 3), np.uint8)
    assert RAFTFlow(1, 64).between(blank, blank).shape == (64, 64, 2)
    missing.add("onnxruntime")
    with pytest.raises(MissingPackageError, match=r"needs openvino; .*pip install"):
        RAFTFlow()


@pytest.mark.parametrize("name", ["missing.safetensors", "text.safetensors", "text.onnx", "other.safetensors"])
def test_weights_of_something_else_are_refused(tmp_path: Path, name: str) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    pytest.importorskip("onnx")
    from safetensors.torch import save_file

    from isomer.model.raft import load_raft

    if name.startswith("text"):
        (tmp_path / name).write_text("no weights")
    elif name.startswith("other"):
        save_file({"weight": torch.zeros(1)}, tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: no readable weights"):
        load_raft(tmp_path / name)

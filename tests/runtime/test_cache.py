"""What is kept of a network is a convenience: whatever becomes of it, the network runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from isomer.runtime import create_backend
from isomer.runtime.cache import cache_folder, folder_of, kept_or_made


def _truncate(folder: Path) -> None:
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


@pytest.mark.parametrize("damage", [_truncate, _empty], ids=["truncated", "emptied"])
@pytest.mark.parametrize("backend", ["openvino", "onnx"])
def test_a_damaged_network_is_made_anew(
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    backend: str,
    damage: Callable[[Path], None],
) -> None:
    pytest.importorskip({"openvino": "openvino", "onnx": "onnxruntime"}[backend])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    expected = create_backend(weights, backend)(image, image)
    (kept,) = (tmp_path / "isomer").iterdir()
    for blob in kept.glob("*.blob"):
        blob.unlink()
    damage(kept)
    caplog.set_level(logging.INFO, "isomer")
    np.testing.assert_array_equal(create_backend(weights, backend)(image, image), expected)
    np.testing.assert_array_equal(create_backend(weights, backend)(image, image), expected)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("isomer")]
    assert said == [f"{kept}: damaged; made anew"]


def test_a_damaged_compiled_network_is_compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), np.uint8)
    expected = create_backend("isomer_efficientnet_lite0", "openvino")(image, image)
    blobs = list(tmp_path.rglob("*.blob"))
    assert blobs
    for cut in (2, 10**9):  # halved, then emptied
        for blob in blobs:
            blob.write_bytes(blob.read_bytes()[: blob.stat().st_size // cut])
        np.testing.assert_array_equal(create_backend("isomer_efficientnet_lite0", "openvino")(image, image), expected)


def test_where_nothing_can_be_kept_it_is_made_each_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def full(made: str, folder: Path) -> None:
        raise OSError(28, "No space left on device")

    caplog.set_level(logging.INFO, "isomer")
    folder = tmp_path / "openvino-0"
    assert kept_or_made(folder, lambda kept: "read", lambda: "made", full) == "made"
    assert caplog.messages == [f"{tmp_path}: the converted network cannot be kept there (No space left on device)"]
    assert list(tmp_path.iterdir()) == []
    assert kept_or_made(None, lambda kept: "read", lambda: "made", full) == "made"


def test_who_was_quicker_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "openvino-0"

    def other_process(made: str, whole: Path) -> None:
        folder.mkdir()
        (folder / "network").write_text("theirs")
        (whole / "network").write_text("ours")

    assert kept_or_made(folder, lambda kept: (kept / "network").read_text(), lambda: "made", other_process) == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert (folder / "network").read_text() == "theirs"


@pytest.mark.skipif(os.name == "nt", reason="a home is another thing on Windows")
def test_without_a_home_or_a_writable_one_there_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    (tmp_path / "isomer").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() is None
    assert folder_of(tmp_path / "isomer", ("numpy",)) is None
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert cache_folder() is None

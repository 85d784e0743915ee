"""A signal that ends a command leaves nothing half-written, whatever the verb."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from isomer.cli.main import main
from isomer.files import Stage

if not hasattr(signal, "SIGHUP"):
    pytest.skip("the system ends a command otherwise", allow_module_level=True)

NETWORK = ["--model", "random.safetensors", "--size", "64", "--backend", "torch"]
COMMANDS = {
    "segment": ["in/a", "-o", "out", "--output", "overlay", "masks", "zip", "coco", *NETWORK],
    "predict": ["in", "-o", "out", *NETWORK],
    "convert": ["masks", "-o", "out/masks.mp4"],
    "prepare": ["in", "out", "--layout", "{sequence}:{sequence}", "--jobs", "1"],
    "synth": ["out/scene.mp4", "--frames", "2"],
}


@pytest.fixture
def folder(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a sequence, its masks and a network."""
    for name, level in (("in/a", 90), ("masks", 255)):
        (tmp_path / name).mkdir(parents=True)
        for index in range(3):
            image = np.zeros((64, 96), np.uint8)
            image[20:40, 10 + index : 40] = level
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), image)
    (tmp_path / "random.safetensors").symlink_to(weights)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal, of which this process has the answer back afterwards."""
    before = signal.signal(request.param, signal.SIG_DFL)  # nohup has it ignored
    yield request.param
    signal.signal(request.param, before)


@pytest.fixture
def hidden(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Send the signal, and once more, whenever a hidden file or folder has been made; they are in the list."""
    made: list[Path] = []

    def sending(make: str) -> None:
        original = getattr(Stage, make)

        def wrapped(self: Stage, path: Path) -> Path:
            made.append(original(self, path))
            assert made[-1].exists()
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(number)
            return made[-1]

        monkeypatch.setattr(Stage, make, wrapped)

    for make in ("file", "folder"):
        sending(make)
    return made


@pytest.mark.parametrize("verb", COMMANDS)
def test_nothing_half_written_is_left(
    verb: str, number: signal.Signals, hidden: list[Path], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    assert main([verb, *COMMANDS[verb]]) == 128 + number
    assert capsys.readouterr().err.splitlines()[-1] == f"isomer: ended by {number.name}"
    assert len(hidden) == 1
    assert [path for path in sorted(folder.rglob("*")) if path not in before and path.name.startswith(".")] == []
    assert signal.getsignal(number) is signal.SIG_DFL


def test_what_is_ignored_stays_so(number: signal.Signals, hidden: list[Path], folder: Path) -> None:
    """As `nohup` has it."""
    signal.signal(number, signal.SIG_IGN)
    assert main(["convert", *COMMANDS["convert"]]) == 0
    assert len(hidden) == 1
    assert (folder / "out" / "masks.mp4").exists()

"""Maps of a whole dataset: layouts, resuming, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from isomer.cli.main import main
from isomer.errors import InputError
from isomer.media import Frame, Segmented
from isomer.segment.dataset import find_frame_folders, predict_dataset


class BrightnessSegmenter:
    """Takes the red channel for the probability, so that what is written is known, and counts its work."""

    def __init__(self) -> None:
        self.frames = 0

    def __call__(self, frames: Iterable[Frame], objects: float | None = None) -> Iterator[Segmented]:
        for frame in frames:
            self.frames += 1
            yield Segmented.of(frame, frame.image[..., 0].astype(np.float32) / 255)


def write_frames(folder: Path, count: int = 3, size: tuple[int, int] = (12, 16)) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(folder / f"{i:05d}.png"), np.full((*size, 3), 40 * i, np.uint8))


LAYOUTS = {
    "DAVIS": "JPEGImages/480p/{}",
    "YouTube-VOS": "JPEGImages/{}",
    "DAVSOD": "{}/Imgs",
    "ours": "{}/frames",
    "FBMS": "{}",
}
ANNOTATIONS = {
    "DAVIS": "Annotations/480p/{}",
    "YouTube-VOS": "Annotations/{}",
    "DAVSOD": "{}/GT",
    "ours": "{}/masks",
    "FBMS": "{}/GroundTruth",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_recognised_beside_their_annotations(tmp_path: Path, layout: str) -> None:
    for name in ("camel", "dog"):
        write_frames(tmp_path / LAYOUTS[layout].format(name))
        annotations = {
            "DAVIS": "Annotations/480p/{}",
            "YouTube-VOS": "Annotations/{}",
            "DAVSOD": "{}/GT",
            "ours": "{}/masks",
        }
        write_frames(tmp_path / annotations.get(layout, "{}/GroundTruth").format(name), 1)
    assert find_frame_folders(tmp_path) == {name: tmp_path / LAYOUTS[layout].format(name) for name in ("camel", "dog")}


def test_writes_a_gray_map_a_frame_and_resumes(tmp_path: Path) -> None:
    for name in ("camel", "dog"):
        write_frames(tmp_path / "data" / name)
    segmenter, out = BrightnessSegmenter(), tmp_path / "maps"

    def predict() -> list[bool]:
        return [done.skipped for done in predict_dataset(tmp_path / "data", out, segmenter, {"size": 1})]  # type: ignore[arg-type]

    assert predict() == [False, False]
    level = cv2.imread(str(out / "dog" / "00002.png"), cv2.IMREAD_UNCHANGED)
    assert level.shape == (12, 16)
    assert (level == 80).all()

    (out / "dog" / "00001.png").write_bytes((out / "dog" / "00001.png").read_bytes()[:40])  # half a file
    segmenter.frames = 0
    assert predict() == [True, False]
    assert segmenter.frames == 3
    assert (cv2.imread(str(out / "dog" / "00001.png"), cv2.IMREAD_UNCHANGED) == 40).all()
    assert predict() == [True, True]


def test_only_the_named_sequences_are_predicted(tmp_path: Path) -> None:
    for name in ("camel", "cow", "dog"):
        write_frames(tmp_path / "data" / name)
    (tmp_path / "list.txt").write_text("dog\n")
    segmenter, out = BrightnessSegmenter(), tmp_path / "maps"

    def predict(*sequences: str) -> list[tuple[str, bool]]:
        done = predict_dataset(tmp_path / "data", out, segmenter, {}, sequences)  # type: ignore[arg-type]
        return [(one.name, one.skipped) for one in done]

    assert predict("cow", str(tmp_path / "list.txt")) == [("cow", False), ("dog", False)]
    assert not (out / "camel").exists()
    assert predict() == [("camel", False), ("cow", True), ("dog", True)]
    with pytest.raises(InputError, match="data: has no sequence blackswan"):
        predict("davis16-val")
    with pytest.raises(InputError, match="horse: neither a sequence of"):
        predict("horse")


def test_the_command_checks_the_sequences_before_it_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_frames(tmp_path / "data" / "cow")
    command = ["predict", str(tmp_path / "data"), "-o", str(tmp_path / "maps"), "--sequences", "horse"]
    assert main(command) == 2
    assert "horse: neither a sequence of" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()


def test_an_output_made_with_other_settings_is_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "data" / "dog")
    out = tmp_path / "maps"
    list(predict_dataset(tmp_path / "data", out, BrightnessSegmenter(), {"size": 384}))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="other settings"):
        list(predict_dataset(tmp_path / "data", out, BrightnessSegmenter(), {"size": 512}))  # type: ignore[arg-type]
    (out / "predictions.json").write_bytes(b"\xff")
    with pytest.raises(InputError, match="other settings"):
        list(predict_dataset(tmp_path / "data", out, BrightnessSegmenter(), {"size": 384}))  # type: ignore[arg-type]


def test_a_folder_without_sequences_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no sequences"):
        find_frame_folders(tmp_path)

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from isomer.cli.main import main
from isomer.data.kitti import read_kitti_flow
from isomer.data.masks import read_levels
from isomer.data.sequences import LAYOUTS, Levels, find_sequences, select_sequences
from isomer.errors import InputError
from isomer.flow import DISFlow
from isomer.media.image import read_gray, read_image, write_image, write_palette

NUMBERS = range(4)


def pictures(index: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured frame with a block that moves by 3 pixels a frame, and its mask."""
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.uniform(0, 255, (8, 10, 3)), (80, 64), interpolation=cv2.INTER_CUBIC)
    block = cv2.resize(rng.uniform(0, 255, (4, 4, 3)), (24, 24), interpolation=cv2.INTER_CUBIC)
    mask = np.zeros((64, 80), np.uint8)
    x = 10 + 3 * index
    frame[20:44, x : x + 24] = block
    mask[20:44, x : x + 24] = 255
    return frame.clip(0, 255).astype(np.uint8), mask


def lay_out(root: Path, layout: str, name: str = "goose", mask_suffix: str = "", image: str = ".jpg") -> None:
    frames, masks = (root / part.replace("{sequence}", name) for part in LAYOUTS[layout])
    for index in NUMBERS:
        frame, mask = pictures(index)
        write_image(frames / f"{name}_{index:05d}{image}", frame)
        write_image(masks / f"{name}_{index:05d}{mask_suffix}.png", mask)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised_and_prepared(layout: str, tmp_path: Path) -> None:
    lay_out(tmp_path / "in", layout, mask_suffix="_gt" if layout == "fbms" else "")
    assert main(["prepare", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    sequence = find_sequences(tmp_path / "out")[0]
    assert sequence.name == "goose"
    assert len(sequence.frames) == len(sequence.masks) == 4
    for index, path in enumerate(sequence.frames):
        np.testing.assert_array_equal(sequence.mask(path), pictures(index)[1])
        assert np.abs(read_image(path).astype(int) - pictures(index)[0]).mean() < 6  # JPEG
    assert list(sequence.flow) == [1]
    stored = [sequence.stored_flow(path, 1) for path in sequence.frames]
    assert [flow is None for flow in stored] == [False, False, False, True]


def test_prepared_flow_is_that_of_the_estimator(tmp_path: Path) -> None:
    lay_out(tmp_path / "in", "davis", image=".png")
    assert main(["prepare", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    stored = read_kitti_flow(tmp_path / "out/goose/flow/goose_00001.png")
    expected = DISFlow().between(pictures(1)[0], pictures(2)[0])
    np.testing.assert_allclose(stored, expected, atol=1 / 127)
    moving = cv2.erode(pictures(1)[1], np.ones((9, 9))) > 0
    assert abs(np.median(stored[moving][:, 0]) - 3) < 0.5


def test_downloads_may_have_a_folder_around_them(tmp_path: Path) -> None:
    lay_out(tmp_path / "train", "youtube-vos")
    lay_out(tmp_path / "train", "youtube-vos", "swan")
    assert [s.name for s in find_sequences(tmp_path)] == ["goose", "swan"]


def test_one_sequence_is_found_by_its_own_folder(tmp_path: Path) -> None:
    lay_out(tmp_path, "isomer")
    assert [s.name for s in find_sequences(tmp_path / "goose")] == ["goose"]


def test_the_layout_can_be_spelled_out(tmp_path: Path) -> None:
    write_image(tmp_path / "pictures/a/1.png", pictures(0)[0])
    write_image(tmp_path / "truth/a/1.png", pictures(0)[1])
    with pytest.raises(InputError, match="no sequences found"):
        find_sequences(tmp_path)
    assert len(find_sequences(tmp_path, "pictures/{sequence}:truth/{sequence}")) == 1
    with pytest.raises(InputError, match="unknown"):
        find_sequences(tmp_path, "pictures")


def test_palettes_count_by_index_and_several_files_by_union(tmp_path: Path) -> None:
    indices = np.zeros((6, 8), np.uint8)
    indices[1, 1], indices[2, 2], indices[3, 3] = 1, 7, 128  # index 7 is gray 128 as a colour
    write_palette(tmp_path / "p.png", indices)
    expected = np.where(indices > 0, 255, 0)
    expected[3, 3] = 128
    np.testing.assert_array_equal(Levels().read([tmp_path / "p.png"]), expected)

    other = np.zeros((6, 8), np.uint8)
    other[5, 5] = 255
    write_image(tmp_path / "q.png", other)
    expected[5, 5] = 255
    np.testing.assert_array_equal(Levels().read([tmp_path / "p.png", tmp_path / "q.png"]), expected)


@pytest.mark.parametrize("channels", ["RGBA", "LA"])
def test_masks_with_transparent_parts_are_named_and_not_read_by_brightness(channels: str, tmp_path: Path) -> None:
    _, mask = pictures(NUMBERS[0])
    for name, alpha in (("opaque.png", np.full_like(mask, 255)), ("cutout.png", mask)):
        bands = [Image.fromarray(band) for band in (*[mask] * (len(channels) - 1), alpha)]
        Image.merge(channels, bands).save(tmp_path / name)
    np.testing.assert_array_equal(Levels().read([tmp_path / "opaque.png"]), mask)
    with pytest.raises(InputError, match=r"cutout\.png: a mask with transparent parts"):
        Levels().read([tmp_path / "cutout.png"])
    with pytest.raises(InputError, match=r"cutout\.png: a mask with transparent parts"):
        read_levels(tmp_path / "cutout.png")


def test_masks_of_a_frame_have_one_size(tmp_path: Path) -> None:
    for name, height in (("p", 4), ("q", 5)):
        write_image(tmp_path / f"{name}.png", np.zeros((height, 8), np.uint8))
    with pytest.raises(InputError, match=r"q\.png: not of the size of .*p\.png"):
        Levels().read([tmp_path / "p.png", tmp_path / "q.png"])


def test_levels_say_what_is_background_and_what_unknown(tmp_path: Path) -> None:
    write_image(tmp_path / "m.png", np.array([[0, 50, 85, 170, 255]], np.uint8))
    mask = Levels((0, 50), (85, 170)).read([tmp_path / "m.png"])
    assert mask.tolist() == [[0, 0, 128, 128, 255]]


def test_pairs_need_consecutive_numbers_and_a_mask(tmp_path: Path) -> None:
    for number in (0, 1, 8, 9, 16):
        write_image(tmp_path / "s/frames" / f"{number:05d}.png", pictures(0)[0])
    for number in (0, 8, 9, 16):
        write_image(tmp_path / "s/masks" / f"{number:05d}.png", pictures(0)[1])
    sequence = find_sequences(tmp_path)[0]

    def names(step: int) -> list[tuple[str, str]]:
        return [(a.stem.lstrip("0") or "0", b.stem.lstrip("0")) for a, b in sequence.pairs(step)]

    assert names(1) == [("0", "1"), ("8", "9")]
    assert names(7) == [("9", "16")]
    assert names(2) == []


def test_a_video_with_every_fifth_frame_has_pairs(tmp_path: Path) -> None:
    for number in (0, 5, 10, 20):
        write_image(tmp_path / "s/frames" / f"{number:05d}.png", pictures(0)[0])
        write_image(tmp_path / "s/masks" / f"{number:05d}.png", pictures(0)[1])
    sequence = find_sequences(tmp_path)[0]
    assert [(a.stem[-2:], b.stem[-2:]) for a, b in sequence.pairs(1)] == [("00", "05"), ("05", "10")]
    assert [(a.stem[-2:], b.stem[-2:]) for a, b in sequence.pairs(2)] == [("00", "10"), ("10", "20")]


def test_prepare_goes_on_with_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("goose", "swan"):
        lay_out(tmp_path / "in", "davis", name)
    bad = tmp_path / "in/JPEGImages/480p/swan/swan_00002.jpg"
    whole = bad.read_bytes()
    bad.write_bytes(b"not an image")
    command = ["prepare", str(tmp_path / "in"), str(tmp_path / "out"), "--jobs", "2"]
    assert main(command) == 1
    assert "swan_00002.jpg" in capsys.readouterr().out
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["goose"]
    first = (tmp_path / "out/goose/flow/goose_00000.png").stat().st_mtime_ns
    bad.write_bytes(whole)
    assert main(command) == 0
    assert "1 written, 1 there before, 0 left out: 4 frames, 4 masks, 3 flows" in capsys.readouterr().out
    assert (tmp_path / "out/goose/flow/goose_00000.png").stat().st_mtime_ns == first
    assert (tmp_path / "out/swan/masks/swan_00003.png").exists()


def test_flow_of_more_steps_is_added_pair_by_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(tmp_path / "in", "davis", image=".png")
    out = tmp_path / "out"
    assert main(["prepare", str(tmp_path / "in"), str(out)]) == 0
    first = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert main(["prepare", str(out), str(out), "--steps", "2", "1", "3"]) == 0
    assert "0 written, 1 there before, 0 left out: 0 frames, 0 masks, 3 flows" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in first} == first
    sequence = find_sequences(out)[0]
    assert list(sequence.flow) == [1, 2, 3]
    for step in (1, 2, 3):
        for index, path in enumerate(sequence.frames):
            stored = sequence.stored_flow(path, step)
            if index + step > 3:
                assert stored is None
                continue
            expected = DISFlow().between(pictures(index)[0], pictures(index + step)[0])
            assert stored is not None
            np.testing.assert_allclose(stored, expected, atol=1 / 127)
    assert all(sequence.stored_flow(path, 4) is None for path in sequence.frames)

    (out / "goose/flow_2/goose_00001.png").unlink()  # as if it had been interrupted
    assert main(["prepare", str(tmp_path / "in"), str(out), "--steps", "1", "2", "3"]) == 0
    assert "0 masks, 1 flows" in capsys.readouterr().out


def test_flow_of_two_estimators_does_not_mix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(tmp_path / "in", "davis")
    command = ["prepare", str(tmp_path / "in"), str(tmp_path / "out")]
    assert main(command) == 0
    note = tmp_path / "out/goose/flow/estimator.txt"
    note.write_text("another\n")
    assert main(command) == 1
    assert (
        f"left out goose: {note.parent}: holds flow that is not known to be by dis; remove" in capsys.readouterr().out
    )
    note.unlink()
    assert main(command) == 1
    shutil.rmtree(note.parent)
    assert main(command) == 0


def test_steps_are_one_or_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", str(tmp_path), str(tmp_path / "out"), "--steps", "1", "0"]) == 2
    assert capsys.readouterr().err.startswith("isomer: --steps: ")


def test_sequences_are_selected_by_name(tmp_path: Path) -> None:
    for name in ("goose", "swan", "heron"):
        lay_out(tmp_path, "davis", name)
    every = find_sequences(tmp_path)

    def names(only: tuple[str, ...], exclude: tuple[str, ...]) -> list[str]:
        return [sequence.name for sequence in select_sequences(every, only, exclude)]

    assert names((), ()) == ["goose", "heron", "swan"]
    assert names(("swan", "goose"), ()) == ["goose", "swan"]
    assert names((), ("heron",)) == ["goose", "swan"]
    assert names(("swan", "goose"), ("goose",)) == ["swan"]
    for only, exclude in ((("gander",), ()), ((), ("gander",))):
        with pytest.raises(InputError, match="gander: there is no sequence"):
            names(only, exclude)
    with pytest.raises(InputError, match="goose"):
        names(("goose",), ("goose",))


def test_prepare_notices_sizes_and_odd_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_out(tmp_path / "in", "davis")
    mask = tmp_path / "in/Annotations/480p/goose/goose_00001.png"
    levels = read_gray(mask)
    levels[0, 0] = 3
    write_image(mask, levels)
    assert main(["prepare", str(tmp_path / "in"), str(tmp_path / "out"), "--flow", "none"]) == 0
    assert "1 masks have levels beside 0 and 255" in capsys.readouterr().out
    assert not (tmp_path / "out/goose/flow").exists()
    write_image(mask, levels[:10])
    assert main(["prepare", str(tmp_path / "in"), str(tmp_path / "again")]) == 1
    assert "goose_00001.png: not of the size" in capsys.readouterr().out
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("line", ["goose", "/JPEGImages/480p/goose/00000.jpg /Annotations/480p/goose/00000.png"])
def test_prepare_takes_a_split(line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("goose", "swan"):
        lay_out(tmp_path / "in", "davis", name)
    split = tmp_path / "train.txt"
    split.write_text(f"{line}\n")
    command = [
        "prepare",
        str(tmp_path / "in"),
        str(tmp_path / "out"),
        "--split",
        str(split),
        "--flow",
        "none",
    ]
    assert main(command) == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["goose"]
    split.write_text("goose\nheron\n")
    assert main(command) == 2
    assert "heron" in capsys.readouterr().err


def test_prepare_stills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in NUMBERS:
        frame, mask = pictures(index)
        write_image(tmp_path / "in/DUTS-TR-Image" / f"{index}.jpg", frame)
        write_image(tmp_path / "in/DUTS-TR-Mask" / f"{index}.png", cv2.GaussianBlur(mask, (3, 3), 0))
    command = ["prepare", str(tmp_path / "in"), str(tmp_path / "out")]
    command += ["--stills", "DUTS-TR-Image:DUTS-TR-Mask"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "4 written" in out
    assert "levels" not in out
    for index in NUMBERS:
        mask = read_gray(tmp_path / "out/masks" / f"{index}.png")
        assert set(np.unique(mask)) == {0, 255}
        assert (mask != pictures(index)[1]).sum() <= 4  # the blur rounds the corners
    assert main(command) == 0
    assert "0 written, 4 there before" in capsys.readouterr().out
    (tmp_path / "out/masks/2.png").unlink()
    (tmp_path / "in/DUTS-TR-Image/2.jpg").write_bytes(b"not an image")
    assert main(command) == 1
    assert f"left out 2: {tmp_path}/in/DUTS-TR-Image/2.jpg: " in capsys.readouterr().out


def test_the_development_data_are_found(shared: Path) -> None:
    sequences = find_sequences(shared / "data/davis-dev")
    assert {s.name: len(s.frames) for s in sequences} == {
        "blackswan": 50, "bmx-trees": 80, "breakdance": 84, "car-roundabout": 75, "goat": 90, "libby": 49,
    }  # fmt: skip
    assert len(find_sequences(shared / "data/video/sbi2015")) == 8

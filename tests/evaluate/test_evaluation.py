from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from isomer.cli import evaluate as verb
from isomer.errors import InputError
from isomer.evaluate import PROTOCOLS, Protocol, evaluate_vsod, evaluate_zvos, plots
from isomer.evaluate.layout import find_sequences
from isomer.evaluate.maps import Annotations, Predictions
from isomer.evaluate.tables import format_table, save
from isomer.media.image import write_palette
from isomer.metrics import MAE, FMeasure, RegionSimilarity, TemporalStability
from isomer.processes import process_pool

H, W = 40, 70


def _disk(x: float, y: float = 18, radius: float = 11) -> np.ndarray:
    rows, columns = np.mgrid[:H, :W]
    return ((rows - y) ** 2 + (columns - x) ** 2 < radius**2).astype(np.uint8) * 255


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def _soft(mask: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(mask, (9, 9), 3)


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and annotations of two sequences of 6 and 8 frames."""
    for sequence, count, speed in (("bear", 6, 3), ("car", 8, 4)):
        for index in range(count):
            _write(tmp_path / "gt" / sequence / f"{index:05d}.png", _disk(15 + speed * index))
            _write(tmp_path / "ours" / sequence / f"{index:05d}.png", _soft(_disk(17 + speed * index)))
    return tmp_path / "ours", tmp_path / "gt"


def _by_hand(folders, sequence, frames, measure):
    for frame in frames:
        images = [cv2.imread(str(folder / sequence / f"{frame:05d}.png"), -1) for folder in folders]
        measure.step(*images)
    return measure.result()


def test_zvos_drops_the_ends_and_averages_sequences(dataset):
    result = evaluate_zvos(*dataset)
    assert result.protocol is PROTOCOLS["davis"]
    assert result.notes == ()
    method = result.methods["ours"]
    assert method.sequences["bear"].frames == ("00001", "00002", "00003", "00004")
    bear = _by_hand(dataset, "bear", range(1, 5), RegionSimilarity())
    car = _by_hand(dataset, "car", range(1, 7), RegionSimilarity())
    assert method.sequences["bear"].scores["J-mean"] == bear.mean
    assert method.mean["J-mean"] == pytest.approx((bear.mean + car.mean) / 2)
    assert method.mean["J-decay"] == pytest.approx((bear.decay + car.decay) / 2)
    assert method.mean["J&F"] == pytest.approx((method.mean["J-mean"] + method.mean["F-mean"]) / 2)


def test_protocols_count_different_frames(dataset):
    everything = evaluate_zvos(*dataset, "all-frames").methods["ours"].sequences["car"]
    assert len(everything.frames) == 8
    published = evaluate_zvos(*dataset, "isomer").methods["ours"].sequences["car"]
    inner = evaluate_zvos(*dataset).methods["ours"].sequences["car"]
    assert published.scores["J-mean"] == everything.scores["J-mean"]
    assert published.scores["J-decay"] == inner.scores["J-decay"]
    with pytest.raises(InputError, match="no such protocol"):
        evaluate_zvos(*dataset, "official")
    own = Protocol("mine", "all", "all", "me")
    assert evaluate_zvos(*dataset, own).protocol.name == "mine"


def test_vsod_averages_curves_before_their_maximum(dataset):
    ours, gt = dataset
    for index in range(8):  # the two sequences have their best F at different thresholds
        file = ours / "car" / f"{index:05d}.png"
        _write(file, (255 * (cv2.imread(str(file), -1) / 255.0) ** 4).astype(np.uint8))
    result = evaluate_vsod(ours, gt).methods["ours"]
    curves = [_by_hand(dataset, s, range(1, n - 1), FMeasure()).curve for s, n in (("bear", 6), ("car", 8))]
    assert result.mean["Fbeta-max"] == pytest.approx(np.mean(curves, axis=0).max())
    assert result.mean["Fbeta-max"] < np.mean([curve.max() for curve in curves])
    mae = [_by_hand(dataset, s, range(1, n - 1), MAE()) for s, n in (("bear", 6), ("car", 8))]
    assert result.mean["MAE"] == pytest.approx(np.mean(mae))
    assert result.curves["precision"].shape == (256,)


def test_stability_is_averaged_over_its_sequences_only(dataset):
    ours, gt = dataset
    for folder in (ours, gt):
        (folder / "car").rename(folder / "soapbox")
        for file in (folder / "soapbox").iterdir():
            if folder == ours and int(file.stem) % 2:
                _write(file, _disk(40, radius=6))
    result = evaluate_zvos(ours, gt, measures=["T"]).methods["ours"]
    by_hand = _by_hand(dataset, "soapbox", range(1, 7), TemporalStability()).mean
    assert by_hand > 0
    assert result.mean["T-mean"] == by_hand != result.sequences["bear"].scores["T-mean"]
    everything = evaluate_zvos(ours, gt, "all-frames", measures=["T"])
    assert everything.methods["ours"].mean["T-mean"] != by_hand
    assert everything.notes == ()


def test_missing_frames_stop_the_run_or_are_counted(dataset):
    ours, gt = dataset
    complete = evaluate_zvos(ours, gt).methods["ours"].sequences["car"]
    (ours / "car" / "00000.png").unlink()  # an end does not count
    assert evaluate_zvos(ours, gt).methods["ours"].sequences["car"].scores == complete.scores
    (ours / "car" / "00003.png").unlink()
    with pytest.raises(InputError, match=r"ours/car: 1 of 6 frames missing \(00003\)"):
        evaluate_zvos(ours, gt)
    zero = evaluate_zvos(ours, gt, missing="zero")
    assert zero.methods["ours"].sequences["car"].values["J"][2] == 0
    assert any("1 of 6 frames missing (00003), scored as all black" in note for note in zero.notes)
    skip = evaluate_zvos(ours, gt, missing="skip")
    car = skip.methods["ours"].sequences["car"]
    assert car.frames == ("00001", "00002", "00004", "00005", "00006")
    values = complete.values["J"]
    assert car.scores["J-mean"] == pytest.approx(np.mean(values[:2] + values[3:]))
    assert "ours: 1 missing frame in all left out" in skip.notes
    assert "note: ours: 1 missing frame in all left out" in format_table(skip)


def test_missing_sequences_are_missing_frames(dataset):
    ours, gt = dataset
    for file in (ours / "bear").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="ours/bear: 4 of 4 frames missing"):
        evaluate_zvos(ours, gt)
    assert evaluate_zvos(ours, gt, missing="zero").methods["ours"].sequences["bear"].scores["J-mean"] == 0
    skip = evaluate_zvos(ours, gt, missing="skip")
    assert list(skip.methods["ours"].sequences) == ["car"]
    assert any("ours/bear: 4 of 4 frames missing" in note for note in skip.notes)


def test_what_is_not_judged_is_said(dataset):
    ours, gt = dataset
    _write(ours / "zebra" / "00000.png", _disk(20))
    _write(ours / "car" / "00099.png", _disk(20))
    notes = evaluate_zvos(ours, gt).notes
    assert "ours: 1 sequence without annotation not judged: zebra" in notes
    assert "ours: 1 predicted frame without annotation not judged" in notes
    assert evaluate_zvos(ours, gt, sequences=["bear"]).notes == ()


def test_size_mismatch_is_an_error_unless_the_protocol_resizes(dataset):
    ours, gt = dataset
    file = ours / "bear" / "00002.png"
    _write(file, cv2.resize(cv2.imread(str(file), -1), (35, 20)))
    with pytest.raises(InputError, match=r"00002.png: 35x20, but its annotation .* is 70x40"):
        evaluate_zvos(ours, gt)
    result = evaluate_zvos(ours, gt, "isomer")
    assert result.methods["ours"].sequences["bear"].values["J"][2] > 0.7
    assert result.notes == ("ours/bear: 1 prediction resized to the annotation",)


@pytest.mark.parametrize(
    ("image", "named"),
    [
        (np.zeros((H, W, 3), np.uint8), "8-bit RGB PNG"),
        (np.zeros((H, W), np.uint16), "16-bit gray PNG"),
        (np.zeros((H, W, 4), np.uint8), "8-bit RGBA PNG"),
        ("palette", "8-bit palette PNG"),
        (b"", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "not an image"),
    ],
)
def test_predictions_that_are_not_gray_are_named(dataset, image, named):
    ours, gt = dataset
    file = ours / "bear" / "00001.png"
    if isinstance(image, bytes):
        file.write_bytes(image)
    elif isinstance(image, str):
        write_palette(file, np.ones((H, W), np.uint8))
    else:
        _write(file, image)
    with pytest.raises(InputError, match=named):
        evaluate_zvos(ours, gt)


def test_unexpected_annotation_levels_are_noted(dataset):
    ours, gt = dataset
    file = gt / "bear" / "00001.png"
    image = cv2.imread(str(file), -1)
    image[0, 0], image[0, 1] = 7, 130
    _write(file, image)
    (note,) = evaluate_zvos(ours, gt).notes
    assert "bear: 1 annotation with levels other than 0 and 255 (7, 130)" in note


def test_objects_of_palette_and_colour_annotations_are_merged(dataset, tmp_path):
    ours, gt = dataset
    expected = evaluate_zvos(ours, gt).methods["ours"].mean
    saliency = evaluate_vsod(ours, gt).methods["ours"].mean
    black = np.zeros((256, 3), np.uint8)  # every object has the colour of the background
    for name in ("palette", "black", "colour"):
        for file in gt.glob("*/*.png"):
            objects = (cv2.imread(str(file), -1) > 0).astype(np.uint8)
            objects[:, W // 2 :] *= 2
            target = tmp_path / name / "Annotations" / "480p" / file.parent.name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if name == "colour":
                _write(target, np.array([(0, 0, 0), (0, 0, 200), (255, 0, 0)], np.uint8)[objects])
            elif name == "black":
                write_palette(target, objects, black)
            else:
                write_palette(target, objects)
        result = evaluate_zvos(ours, tmp_path / name)
        assert result.notes == ()
        assert result.methods["ours"].mean == expected
        assert evaluate_vsod(ours, tmp_path / name).methods["ours"].mean == saliency


def test_sparse_fbms_layout(dataset, tmp_path):
    ours, gt = dataset
    for index in (0, 3, 7):
        file = gt / "car" / f"{index:05d}.png"
        target = tmp_path / "fbms" / "Testset" / "car" / "GroundTruth" / f"{index:05d}_gt.pgm"
        _write(target, cv2.imread(str(file), -1))
        _write(tmp_path / "fbms" / "Testset" / "car" / f"{index:05d}.jpg", np.zeros((H, W, 3), np.uint8))
    result = evaluate_zvos(ours, tmp_path / "fbms", "all-frames", sequences=["car"])
    assert result.methods["ours"].sequences["car"].frames == ("00000", "00003", "00007")
    assert result.notes == ("ours: 5 predicted frames without annotation not judged",)


@pytest.mark.parametrize("folder", ["GT_object_level", "ground-truth"])
def test_saliency_benchmarks_layouts(dataset, tmp_path, folder):
    ours, gt = dataset
    for file in gt.glob("*/*.png"):
        target = tmp_path / "benchmark" / file.parent.name
        _write(target / folder / file.name, cv2.imread(str(file), -1))
        _write(target / "Imgs" / file.name, np.zeros((H, W, 3), np.uint8))
    assert (
        evaluate_vsod(ours, tmp_path / "benchmark").methods["ours"].mean == evaluate_vsod(ours, gt).methods["ours"].mean
    )


def test_one_sequence_of_images(dataset):
    ours, gt = dataset
    result = evaluate_zvos(ours / "car", gt / "car").methods["car"]
    assert result.mean == evaluate_zvos(ours, gt, sequences=["car"]).methods["ours"].mean


def test_layout_errors(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        find_sequences(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no images found"):
        find_sequences(tmp_path)
    _write(tmp_path / "a" / "1.png", _disk(3))
    _write(tmp_path / "a" / "1.bmp", _disk(3))
    with pytest.raises(InputError, match="the same frame"):
        find_sequences(tmp_path)


def test_frames_are_in_natural_order(tmp_path):
    for name in ("frame10", "frame9", "frame1", "frame9²1"):  # no decimal digit, the last but one
        _write(tmp_path / "a" / f"{name}.png", _disk(3))
    assert list(find_sequences(tmp_path)["a"]) == ["frame1", "frame9", "frame9²1", "frame10"]


def test_sequences_are_selected_by_name_and_by_list(dataset, tmp_path):
    ours, gt = dataset
    (tmp_path / "val.txt").write_text("/JPEGImages/480p/car/00000.jpg /Annotations/480p/car/00000.png\n" * 2)
    (tmp_path / "names.txt").write_text("car\nbear\n\n")
    for names, expected in (([tmp_path / "val.txt"], ["car"]), ([tmp_path / "names.txt"], ["bear", "car"])):
        result = evaluate_zvos(ours, gt, sequences=list(map(str, names)))
        assert list(result.methods["ours"].sequences) == expected
    with pytest.raises(InputError, match="gt: has no sequence blackswan"):
        evaluate_zvos(ours, gt, sequences=["davis16-val"])
    with pytest.raises(InputError, match=r"horse: neither a sequence of .*gt nor a file"):
        evaluate_zvos(ours, gt, sequences=["horse"])


def test_too_short_a_sequence_is_named(dataset):
    ours, gt = dataset
    for file in list((gt / "bear").iterdir())[2:]:
        file.unlink()
    with pytest.raises(InputError, match="bear: 2 annotated frames, of which protocol davis counts none"):
        evaluate_zvos(ours, gt)


def test_workers_do_not_change_a_digit(dataset):
    measures = ["J", "F", "T", "MAE", "S", "Fbeta", "wFbeta", "E"]
    alone = evaluate_vsod(*dataset, measures=measures)
    together = evaluate_vsod(*dataset, measures=measures, workers=2)
    assert alone.methods["ours"].mean == together.methods["ours"].mean
    assert list(alone.methods["ours"].sequences) == list(together.methods["ours"].sequences)


def test_workers_pass_errors_on(dataset):
    (dataset[0] / "bear" / "00001.png").write_bytes(b"")
    with pytest.raises(InputError, match="not an image"):
        evaluate_zvos(*dataset, workers=2)


def _die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_said_in_one_line():
    with pytest.raises(InputError, match=r"^workers=1: a worker process was killed"):  # noqa: SIM117
        with process_pool(1, "workers") as pool:
            pool.submit(_die, 0).result()


def test_measures_are_checked(dataset):
    with pytest.raises(InputError, match="IoU: no such measure"):
        evaluate_zvos(*dataset, measures=["IoU"])
    with pytest.raises(InputError, match="none given"):
        evaluate_zvos(*dataset, measures=[])


def _annotation(path: Path) -> np.ndarray:
    return Annotations([path]).read(path).levels


def test_readers(tmp_path):
    write_palette(tmp_path / "a.png", np.array([[0, 1], [254, 253]], np.uint8))
    assert _annotation(tmp_path / "a.png").tolist() == [[0, 255], [255, 255]]
    _write(tmp_path / "b.jpg", np.full((8, 8), 200, np.uint8))
    assert Predictions().read(tmp_path / "b.jpg").shape == (8, 8)
    _write(tmp_path / "c.png", np.zeros((2, 2), np.uint16))
    with pytest.raises(InputError, match="uint16"):
        _annotation(tmp_path / "c.png")
    _write(tmp_path / "d.tif", np.zeros((2, 2, 3), np.float32))
    with pytest.raises(InputError, match="float32"):
        _annotation(tmp_path / "d.tif")


def _rewritten(folder: Path, name: str, change, write=_write, suffix: str = ".png") -> Path:
    """A copy of a folder of maps, each changed and written in another way."""
    for file in folder.glob("*/*.png"):
        target = folder.parent / name / file.parent.name / f"{file.stem}{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target, change(cv2.imread(str(file), -1)))
    return folder.parent / name


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda p: p // 255, "without a level above 128, so that all is background; the highest is 1,"),
        (lambda p: (p > 128).astype(np.uint8) * 128, "the highest is 128,"),
        (lambda p: (p * (100 / 255)).astype(np.uint8), "the highest is 100,"),
        (lambda p: np.where(p > 128, 85 * (1 + np.arange(W) // 35), 0).astype(np.uint8), "levels than 0, 85, 170:"),
    ],
)
def test_predictions_of_levels_that_cannot_be_meant_are_noted(dataset, change, note):
    ours, gt = dataset
    (bear, car) = evaluate_zvos(_rewritten(ours, "odd", change), gt).notes
    assert bear.startswith("odd/bear: 4 predictions ")
    assert car.startswith("odd/car: 6 predictions ")
    assert note in bear


def test_one_prediction_of_0_and_1_among_others_is_noted(dataset):
    ours, gt = dataset
    binary = _rewritten(ours, "binary", lambda p: (p > 128).astype(np.uint8) * 255)
    assert evaluate_zvos(binary, gt).notes == ()
    _write(binary / "bear" / "00002.png", _disk(20) // 255)
    assert evaluate_zvos(binary, gt).notes == (
        "binary/bear: 4 predictions of no other levels than 0, 1, 255: foreground is above 128",
    )


def test_levels_do_not_matter_where_each_map_is_stretched(dataset):
    ours, gt = dataset
    ones = _rewritten(ours, "ones", lambda p: (p > 128).astype(np.uint8))
    masks = _rewritten(ours, "masks", lambda p: (p > 128).astype(np.uint8) * 255)
    result = evaluate_vsod([ones, masks], gt)
    assert result.notes == ()
    assert result.methods["ones"].mean == result.methods["masks"].mean
    assert "the highest is 1" in evaluate_vsod(ones, gt, "isomer").notes[0]


def _ring(mask: np.ndarray) -> np.ndarray:
    return (cv2.dilate(mask, np.ones((5, 5))) > 0) & (mask == 0)


def test_void_of_palettes_is_left_out(dataset):
    """Index 255 beside objects; the frame whose object has left still has void, and no object to tell it by."""
    ours, gt = dataset
    _write(gt / "bear" / "00001.png", np.zeros((H, W), np.uint8))
    strip = np.arange(H)[:, None] + np.zeros((1, W), int) < 6

    def change(mask: np.ndarray) -> np.ndarray:
        open_ = _ring(mask) | strip
        return np.where(open_, 255, mask // 255 * 3).astype(np.uint8)

    with_void = _rewritten(gt, "void", change, write_palette)
    result = evaluate_zvos(ours, with_void, measures=["J", "T"])
    assert "bear: 4 annotations with void, palette index 255" in result.notes[0]
    values = result.methods["ours"].sequences["bear"].values
    for index, value in zip(range(1, 5), values["J"], strict=True):
        prediction = cv2.imread(str(ours / "bear" / f"{index:05d}.png"), -1) > 128
        mask = cv2.imread(str(gt / "bear" / f"{index:05d}.png"), -1)
        known = ~(_ring(mask) | strip)
        union = ((prediction | (mask > 0)) & known).sum()
        assert value == pytest.approx((prediction & (mask > 0) & known).sum() / union)
    plain = evaluate_zvos(ours, gt, measures=["T"]).methods["ours"].sequences["bear"].values["T"]
    assert values["T"] == pytest.approx(plain, nan_ok=True)  # of the prediction alone


def test_index_255_alone_is_the_object(dataset):
    ours, gt = dataset
    expected = evaluate_zvos(ours, gt)
    result = evaluate_zvos(ours, _rewritten(gt, "255", lambda mask: mask, write_palette))
    assert result.methods["ours"].mean == expected.methods["ours"].mean
    assert result.notes == ()


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_annotations_in_alpha_are_understood_and_noted(dataset, suffix):
    """On white, on a picture, and where it holds nothing or everything."""
    ours, gt = dataset
    _write(gt / "bear" / "00001.png", np.zeros((H, W), np.uint8))
    _write(gt / "bear" / "00002.png", np.full((H, W), 255, np.uint8))
    expected = evaluate_zvos(ours, gt).methods["ours"].mean
    noise = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)

    for name, colours in (("white", np.full_like(noise, 255)), ("picture", noise)):
        alpha = _rewritten(gt, name, lambda mask, colours=colours: np.dstack([colours, mask]), suffix=suffix)
        result = evaluate_zvos(ours, alpha)
        assert result.methods["ours"].mean == expected
        assert result.notes[0] == "bear: 4 annotations taken from the alpha, which is not the same everywhere"


@pytest.mark.parametrize("opacity", [0, 128, 255])
def test_opacity_that_is_the_same_everywhere_is_no_mask(dataset, opacity):
    ours, gt = dataset
    coloured = _rewritten(gt, "colours", lambda mask: np.dstack([mask, 0 * mask, 0 * mask, 0 * mask + opacity]))
    result = evaluate_zvos(ours, coloured)
    assert result.methods["ours"].mean == evaluate_zvos(ours, gt).methods["ours"].mean
    assert result.notes == ()


def test_maps_compressed_with_loss_are_noted(dataset):
    ours, gt = dataset

    def write(path: Path, image: np.ndarray) -> None:
        assert cv2.imwrite(str(path), image, [cv2.IMWRITE_WEBP_QUALITY, 80])

    red = _rewritten(gt, "red", lambda mask: np.dstack([0 * mask, 0 * mask, mask]), write, ".webp")
    notes = evaluate_zvos(_rewritten(ours, "soft", lambda p: p, suffix=".jpg"), red, sequences=["bear"]).notes
    assert "soft/bear: 4 predictions compressed with loss, so that levels are not exact; save PNGs" in notes
    assert "bear: 4 annotations compressed with loss, so that levels are not exact; save PNGs" in notes


def test_annotations_that_are_no_objects_are_noted(dataset):
    ours, gt = dataset
    noise = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
    (note, _) = evaluate_zvos(ours, _rewritten(gt, "photos", lambda _: noise)).notes
    assert note.startswith("bear: 4 annotations of more than 256 colours")
    (note, _) = evaluate_zvos(ours, _rewritten(gt, "gray", lambda mask: np.dstack([_soft(mask)] * 3))).notes
    assert "bear: 4 annotations with levels other than 0 and 255 (1, " in note


def test_a_palette_in_another_order_is_noted(dataset):
    ours, gt = dataset
    white_first = np.zeros((256, 3), np.uint8)
    white_first[0] = 255

    def write(path: Path, mask: np.ndarray) -> None:
        write_palette(path, (mask == 0).astype(np.uint8), white_first)

    (note, _) = evaluate_zvos(ours, _rewritten(gt, "reordered", lambda mask: mask, write)).notes
    assert note == "bear: 4 annotations whose palette does not begin with black: index 0 is background"


@pytest.fixture
def two_methods(dataset):
    ours, gt = dataset
    for file in gt.glob("*/*.png"):
        _write(ours.parent / "perfect_one" / file.parent.name / file.name, cv2.imread(str(file), -1))
    return [ours, ours.parent / "perfect_one"], gt


def test_files_state_the_protocol_and_every_figure(two_methods, tmp_path):
    result = evaluate_zvos(*two_methods, measures=["J", "F", "S"])
    for suffix in ("csv", "json", "tex"):
        save(result, tmp_path / "out" / f"table.{suffix}")
    rows = list(csv.DictReader((tmp_path / "out" / "table.csv").open()))
    assert [(row["method"], row["sequence"]) for row in rows] == [
        (method, sequence) for method in ("ours", "perfect_one") for sequence in ("bear", "car", "mean")
    ]
    assert {row["protocol"] for row in rows} == {"davis"}
    assert float(rows[2]["J-mean"]) == result.methods["ours"].mean["J-mean"]
    document = json.loads((tmp_path / "out" / "table.json").read_text())
    assert document["protocol"]["frames"] == "inner"
    bear = document["methods"]["ours"]["sequences"]["bear"]
    assert bear["values"]["J"] == list(result.methods["ours"].sequences["bear"].values["J"])
    latex = (tmp_path / "out" / "table.tex").read_text()
    assert latex.startswith("% protocol davis (official DAVIS-2016)")
    assert r"perfect\_one & \textbf{100.0}" in latex
    with pytest.raises(InputError, match="no table format"):
        save(result, tmp_path / "table.xlsx")
    with pytest.raises(InputError, match=r"b\.csv: cannot be written"):
        save(result, tmp_path / "first.csv", tmp_path / "out" / "table.csv" / "b.csv")
    assert not (tmp_path / "first.csv").exists()
    with pytest.raises(InputError, match="workers=0: less than 1"):
        evaluate_zvos(*two_methods, workers=0)


def test_terminal_table(two_methods):
    text = format_table(evaluate_zvos(*two_methods))
    assert text.startswith("protocol davis (official DAVIS-2016): annotated frames: without the first")
    lines = text.splitlines()
    bear = next(line for line in lines if line.startswith("bear"))
    assert bear.split()[1] == "4"
    assert len([line for line in lines if line.startswith("perfect_one")]) == 2
    short = format_table(evaluate_zvos(*two_methods), sequences=False)
    assert "bear" not in short


def test_json_has_no_nan(dataset, tmp_path):
    save(evaluate_zvos(*dataset, measures=["T"]), tmp_path / "t.json")
    document = json.loads((tmp_path / "t.json").read_text(), parse_constant=pytest.fail)
    assert document["methods"]["ours"]["mean"]["T-mean"] is None  # neither is a sequence T is published on


def test_plots(two_methods, tmp_path):
    pytest.importorskip("matplotlib")
    result = evaluate_vsod(*two_methods, measures=["J", "MAE", "Fbeta", "E"])
    written = plots.save_plots(result, tmp_path / "plots")
    assert {file.name for file in written} == {
        "J-bars.png",
        "MAE-bars.png",
        "Fbeta-bars.png",
        "E-bars.png",
        "J-bear.png",
        "J-car.png",
        "curves.png",
        "worst-ours.png",
        "worst-perfect_one.png",
    }
    for file in written:
        image = cv2.imread(str(file))
        assert image.std() > 5, file


def test_plots_without_matplotlib_say_what_to_install(dataset, monkeypatch, tmp_path):
    monkeypatch.setattr("isomer.errors.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "\.\[plots\]"'):
        plots.save_plots(evaluate_zvos(*dataset), tmp_path)


def _arguments(*words: str | Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


def test_verb(two_methods, tmp_path, capsys):
    (ours, perfect), gt = two_methods
    out = tmp_path / "t.csv"
    assert verb.run(_arguments("zvos", ours, perfect, gt, "--save", out, "--workers", "1")) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("protocol davis")
    assert "perfect_one" in printed
    assert out.is_file()
    assert verb.run(_arguments("vsod", ours, gt, "--measures", "all", "--summary", "--workers", "1")) == 0
    assert "wFbeta" in capsys.readouterr().out


def test_verb_checks_outputs_before_it_works(two_methods, tmp_path):
    (ours, _), _ = two_methods
    with pytest.raises(InputError, match="no table format"):
        verb.run(_arguments("zvos", ours, tmp_path / "nowhere", "--save", tmp_path / "t.xlsx"))


def test_verb_is_light_to_import():
    code = "import sys, isomer.cli.evaluate; print({'numpy', 'cv2', 'torch'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"

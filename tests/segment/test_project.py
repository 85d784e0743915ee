"""Projects: what was found is kept, chosen from and corrected, without finding it again."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_objects import HEIGHT, THINGS, WIDTH, Colourful, drawn
from numpy.typing import NDArray

from isomer.cli.main import main
from isomer.errors import InputError
from isomer.media import OUTPUTS, Look, open_frames, open_outputs
from isomer.media.image import decode_gray, read_gray, read_image, read_palette, write_image
from isomer.options import VideoOptions
from isomer.segment import segment_video
from isomer.segment.objects.corrections import Correction
from isomer.segment.objects.project import correct, kept_path, list_objects, read_project

COUNT = 40


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a drawn clip; nothing is found again once it is made."""
    monkeypatch.setattr("isomer.segment.segmenter.create_backend", lambda *_, **__: Colourful())
    folder = tmp_path / "clip"
    folder.mkdir()
    for result, _ in drawn(THINGS, COUNT):
        write_image(folder / f"{result.name}.png", result.image)
    path = tmp_path / "clip.isomer.json"
    list_objects(folder, VideoOptions(), path, tmp_path / "sheet.png")

    def finding(*_: object, **__: object) -> None:
        raise AssertionError("it is found again")

    monkeypatch.setattr("isomer.segment.segmenter.create_backend", finding)
    return path


def masks(project: Path, **options: Any) -> list[NDArray[np.bool_]]:
    out = project.with_name("masks")
    segment_video(project, out, outputs=["masks"], **options)
    return [read_gray(out / f"{index:05d}.png") > 0 for index in range(COUNT)]


@pytest.fixture
def truth() -> list[NDArray[np.uint8]]:
    return [truth for _, truth in drawn(THINGS, COUNT)]


def test_a_project_gives_what_the_video_gives(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = masks(project, keep=["2"])
    monkeypatch.setattr("isomer.segment.segmenter.create_backend", lambda *_, **__: Colourful())
    segment_video(tmp_path / "clip", tmp_path / "anew", outputs=["masks"], keep=["2"])
    for index, mask in enumerate(found):
        np.testing.assert_array_equal(mask, read_gray(tmp_path / f"anew/{index:05d}.png") > 0)


def test_a_project_lists_its_objects(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["objects", str(project), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["objects"]
    assert listed == json.loads(project.read_text())["objects"]
    assert [one["number"] for one in listed] == [1, 2, 3]
    assert main(["objects", str(project)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_an_object_that_a_person_has_added_is_listed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in ((["--object", "4"], "object 4 is new"), (["--object", "4"], "2 corrections\n")):
        assert main(["correct", str(project), "--add", "0.9,0.1@1s", *words]) == 0
        assert said in capsys.readouterr().out
    listed = list_objects(project, VideoOptions())
    assert [one.number for one in listed] == [1, 2, 3, 4]
    added = listed[3]
    assert (added.clearest, added.spans[0][0] <= 24 <= added.spans[0][1]) == (24, True)
    assert added.frames > 1
    assert added.area > 0


def test_what_is_removed_is_no_longer_in_sight(project: Path, truth: list[NDArray[np.uint8]]) -> None:
    before = list_objects(project, VideoOptions())[1]
    correct(project, [Correction(0, remove=(middle(truth[0], 2),))])
    after = list_objects(project, VideoOptions())[1]
    assert (before.frames, before.spans) == (40, ((0, 39),))
    first = after.spans[0][0]
    assert 1 <= first <= 8
    assert (after.frames, after.spans, after.start) == (40 - first, ((first, 39),), pytest.approx(first / 24))
    assert after.area < 0.99 * before.area


def test_the_next_number_is_that_of_a_new_object_and_no_other_is(project: Path) -> None:
    with pytest.raises(InputError, match=r"^object=5: no such object; the last is 3, and 4 makes a new one"):
        correct(project, [Correction(3, add=((0.5, 0.5),), number=5)])
    correct(project, [Correction(3, add=((0.5, 0.5),), number=4), Correction(4, add=((0.5, 0.5),), number=5)])


def test_a_video_of_another_length_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(project.read_text())
    for moments, has in ((said["moments"][:-1], 39), ([*said["moments"], [40, 1.7]], 41)):
        project.write_text(json.dumps(said | {"moments": moments}))
        assert main(["segment", str(project), "-o", str(project.with_name("out.mp4")), "-q"]) == 2
        error = capsys.readouterr().err
        assert f"has {has} moments" in error or "lacks maps/00040.png" in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "name"),
    [("palette", "given"), ("coco", "given.json"), ("youtube-vis", "given.json"), ("cvat", "given.xml")],
)
def test_a_project_of_masks_from_elsewhere(kind: str, name: str, project: Path, truth: list[NDArray[np.uint8]]) -> None:
    """Their numbers stay."""
    given = project.with_name(name)
    renumbered = [np.choose(labels, [0, 7, 2, 40]).astype(np.uint8) for labels in truth]
    with open_outputs([(OUTPUTS[kind], given)], open_frames(project.with_name("clip")), Look()) as (writer,):
        for (result, _), labels in zip(drawn(THINGS, COUNT), renumbered, strict=True):
            writer.write(replace(result, labels=labels))
    path = project.with_name("back.isomer.json")
    assert main(["convert", str(given), "--video", str(project.with_name("clip")), "-o", str(path), "-q"]) == 0
    listed = {one.number: one for one in list_objects(path, VideoOptions())}
    assert set(listed) == {2, 7, 40}
    assert (listed[40].frames, listed[40].spans) == (30, ((10, 39),))
    out = project.with_name("rendered")
    segment_video(path, out, outputs=["masks"], edges="map", keep=["7"])
    for index in (0, 20):
        found = read_gray(out / f"{index:05d}.png") > 0
        assert (found & (truth[index] == 1)).sum() / (found | (truth[index] == 1)).sum() > 0.95


def test_masks_that_tell_nothing_apart_become_a_project_with_objects(project: Path) -> None:
    given = project.with_name("given")
    given.mkdir()
    for result, _ in drawn(THINGS, COUNT):
        write_image(given / f"{result.name}.png", result.mask(0.5).astype(np.uint8) * 255)
    path = project.with_name("back.isomer.json")
    assert main(["convert", str(given), "--video", str(project.with_name("clip")), "-o", str(path), "-q"]) == 0
    assert [one.frames for one in list_objects(path, VideoOptions())] == [40, 40, 30]


def test_a_project_is_made_of_a_video_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(project.with_name("clip")), "-o", str(project.with_name("back.isomer.json"))]) == 2
    assert "masks and their --video" in capsys.readouterr().err


@pytest.mark.parametrize("option", [{"size": 512}, {"quality": "best"}, {"flow": "raft"}, {"stride": 2}])
def test_what_was_found_is_not_asked_for_otherwise(project: Path, option: dict[str, Any]) -> None:
    for ask in (lambda: masks(project, **option), lambda: list_objects(project, VideoOptions(**option))):
        with pytest.raises(InputError, match=f"^{next(iter(option))}=.*: a project has what was found"):
            ask()
    with pytest.raises(InputError, match=r"^threshold=0\.3: a project has"):
        list_objects(project, VideoOptions(threshold=0.3))
    with pytest.raises(InputError, match="a project already"):
        list_objects(project, VideoOptions(), project.with_name("other.isomer.json"))


def test_as_it_was_found_and_on_what_machine_may_be_said(project: Path) -> None:
    said = json.loads(project.read_text())
    project.write_text(json.dumps(said | {"threshold": 0.4}))
    assert list_objects(project, VideoOptions(threshold=0.4, device="cpu", backend="torch"))


def test_that_no_object_is_left_is_said(project: Path, recwarn: pytest.WarningsRecorder) -> None:
    assert not any(mask.any() for mask in masks(project, drop=["all"]))
    assert [str(warning.message) for warning in recwarn] == ["keep and drop leave no object"]


def test_a_project_is_not_converted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(project), "-o", str(project.with_name("out.json"))]) == 2
    assert "isomer segment writes" in capsys.readouterr().err


def test_the_sheet_shows_each_object(project: Path) -> None:
    sheet = read_image(project.with_name("sheet.png")).astype(int)
    rows = np.array_split(sheet, 3)
    for row, channel in zip(rows, (0, 2, 1), strict=True):
        thumbnail = row[:, :252]
        strongest = thumbnail.argmax(axis=2)[np.ptp(thumbnail, axis=2) > 60]
        assert np.bincount(strongest, minlength=3).argmax() == channel


def test_what_is_kept_in_a_project_counts_unless_another_is_given(
    project: Path, truth: list[NDArray[np.uint8]]
) -> None:
    said = json.loads(project.read_text())
    project.write_text(json.dumps(said | {"keep": ["1"]}))
    assert not masks(project)[20][truth[20] == 2].any()
    assert masks(project, keep=["2"])[20][truth[20] == 2].mean() > 0.9


def test_masks_and_numbers_have_the_projects_threshold_unless_another_is_given(project: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(kept_path(project)) as archive:
        levels = decode_gray(archive.read("maps/00020.png"), "map")
    said = json.loads(project.read_text())

    def shares(own: float, **options: float) -> list[float]:
        project.write_text(json.dumps(said | {"threshold": own}))
        segment_video(project, tmp_path / "out", outputs=["masks", "palette"], objects=True, edges="map", **options)
        pictures = tmp_path / "out/clip_masks/00020.png", tmp_path / "out/clip_palette/00020.png"
        return [float((read(path) > 0).mean()) for read, path in zip((read_gray, read_palette), pictures, strict=True)]

    loose, strict = ((levels >= threshold * 255).mean() for threshold in (0.1, 0.9))
    assert loose > 1.03 * strict
    assert shares(0.1) == pytest.approx([loose] * 2, rel=0.015)
    assert shares(0.9) == pytest.approx([strict] * 2, rel=0.015)
    assert shares(0.1, threshold=0.9) == pytest.approx([strict] * 2, rel=0.015)


def middle(truth: NDArray[np.uint8], number: int) -> tuple[float, float]:
    y, x = (float(np.mean(places)) for places in np.nonzero(truth == number))
    return x / WIDTH, y / HEIGHT


def test_a_point_removes_what_is_there_less_and_less_far_away(project: Path, truth: list[NDArray[np.uint8]]) -> None:
    correct(project, [Correction(0, remove=(middle(truth[0], 2),))])
    found = masks(project)
    assert found[0][truth[0] == 2].mean() < 0.1
    assert found[3][truth[3] == 2].mean() < 0.2
    assert found[39][truth[39] == 2].mean() > 0.9
    for index in (0, 3, 39):
        assert found[index][truth[index] == 1].mean() > 0.9


def test_a_painted_mask_is_what_the_object_is(project: Path, tmp_path: Path, truth: list[NDArray[np.uint8]]) -> None:
    painted = np.zeros((HEIGHT, WIDTH), np.uint8)
    painted[20:60, 200:260] = 255
    write_image(tmp_path / "painted.png", painted)
    assert main(["correct", str(project), "--mask", f"{tmp_path / 'painted.png'}@10", "--object", "3", "-q"]) == 0
    found = masks(project, keep=["3"])[10]
    assert ((found > 0) & (painted > 0)).sum() / ((found > 0) | (painted > 0)).sum() > 0.9


def test_a_box_is_where_the_object_ends(project: Path, truth: list[NDArray[np.uint8]]) -> None:
    left, top, right, bottom = 20, 10, 65, 100  # half of object 1
    box = (left / WIDTH, top / HEIGHT, (right - left) / WIDTH, (bottom - top) / HEIGHT)
    correct(project, [Correction(5, box=box, number=1)])
    found = masks(project, keep=["1"])[5]
    assert not found[:, right + 4 :].any()
    assert masks(project)[5][truth[5] == 2].mean() > 0.9


def test_a_box_is_of_the_object_that_is_in_it(project: Path, truth: list[NDArray[np.uint8]]) -> None:
    rows, columns = np.nonzero(truth[5] == 1)
    right, bottom = columns.min() + np.ptp(columns) // 8, rows.max() + 1
    assert truth[5][bottom // 2, right // 2] != 1  # the middle of the box is beside it
    correct(project, [Correction(5, box=(0.0, 0.0, right / WIDTH, bottom / HEIGHT))])
    assert not masks(project, keep=["1"])[5][:, right + 4 :].any()


def test_undo_takes_the_last_one_back(project: Path, truth: list[NDArray[np.uint8]]) -> None:
    before = masks(project)
    x, y = middle(truth[0], 2)
    for words in (["--remove", f"{x},{y}@0s"], ["--add", "0.9,0.1@1s"]):
        assert main(["correct", str(project), *words, "-q"]) == 0
    assert len(read_project(project).corrections) == 2
    for _ in range(2):
        correct(project, undo=True)
    for mask, expected in zip(masks(project), before, strict=True):
        np.testing.assert_array_equal(mask, expected)
    with pytest.raises(InputError, match="no correction to undo"):
        correct(project, undo=True)


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(project: Path) -> None:
        said = json.loads(project.read_text())
        change(said)
        project.write_text(json.dumps(said))

    return apply


def without_entry(archive: Path, name: str) -> None:
    with zipfile.ZipFile(archive) as file:
        others = {one: file.read(one) for one in file.namelist() if one != name}
    with zipfile.ZipFile(archive, "w") as file:
        for one, content in others.items():
            file.writestr(one, content)


BROKEN = {
    "not JSON": lambda project: project.write_text("{"),
    "maximum recursion depth": lambda project: project.write_text("[" * 99_999),
    "'str' object has no attribute": changed(lambda said: said.update(corrections=["x"])),
    "cannot convert float infinity": changed(lambda said: said.update(corrections=[{"frame": float("inf")}])),
    "no project of version 1": changed(lambda said: said.update(isomer_project=2)),
    "lacks 'size'": changed(lambda said: said.pop("size")),
    "has colour, which is unknown": changed(lambda said: said.update(colour="red")),
    "not a number, a point": changed(lambda said: said.update(keep=["him"])),
    "a correction outside the frame": changed(lambda said: said.update(corrections=[{"frame": 3, "add": [[2, 0]]}])),
    "runs do not make up": changed(
        lambda said: said.update(corrections=[{"frame": 3, "mask": {"size": [2, 2], "counts": "1"}}])
    ),
    "stride=0: less than 1": changed(lambda said: said.update(stride=0)),
    "threshold=2.0: not between": changed(lambda said: said.update(threshold=2)),
    "has fewer than two moments": changed(lambda said: said.update(moments=[])),
    "an object's number is not": changed(lambda said: said["objects"][0].update(number=256)),
    "lacks objects/00003.png": lambda project: without_entry(kept_path(project), "objects/00003.png"),
    "no such file": lambda project: project.write_text(project.read_text().replace('"clip"', '"clop"')),
    "another video than": lambda project: write_image(
        project.with_name("clip") / "x.png", np.zeros((192, 320), np.uint8)
    ),
    "cannot be read": lambda project: kept_path(project).unlink(),
}


@pytest.mark.parametrize("name", ["sheet.mp4", "sheet"])
def test_a_sheet_that_is_no_image_is_refused_before_the_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isomer.segment.objects.project.open_frames", None)
    with pytest.raises(InputError, match=f"{name}: not an image format"):
        list_objects(tmp_path / "clip.mp4", VideoOptions(), None, tmp_path / name)


@pytest.mark.parametrize("problem", BROKEN)
def test_a_broken_project_is_refused_in_a_line(
    problem: str, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BROKEN[problem](project)
    assert main(["segment", str(project), "-o", str(tmp_path / "out.mp4"), "-q"]) == 2
    said = capsys.readouterr().err
    assert problem in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--add", "0.5"], "--add 0.5: not a point"),
        (["--add", "0.5,0.5@99s"], "--add 0.5,0.5@99s: after the last frame, 39"),
        (["--box", "0.5,0.5,0.6,0.1@0"], "--box 0.5,0.5,0.6,0.1@0: a box outside the frame"),
        (["--box", "0.5,0.5@0"], "--box 0.5,0.5@0: not a box"),
        (["--object", "0", "--add", "0.5,0.5@0"], "--object 0: not an object's number"),
        (["--mask", "missing.png@0"], "missing.png: "),
    ],
)
def test_a_bad_correction_is_refused_in_a_line(
    words: list[str], problem: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = project.read_text()
    assert main(["correct", str(project), *words]) == 2
    assert capsys.readouterr().err.startswith(f"isomer: {problem}")
    assert project.read_text() == before

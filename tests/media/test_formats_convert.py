"""Every format of masks to every other."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from encoded_videos import encode, moving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from isomer.cli.main import main
from isomer.errors import InputError
from isomer.media import OUTPUTS, open_frames
from isomer.media.convert import convert_masks
from isomer.media.image import encode_image, read_gray, read_palette, write_image, write_palette
from isomer.media.masks import open_masks
from isomer.media.rle import encode_rle
from isomer.options import Adjustments

COUNT, WIDTH, HEIGHT = 4, 96, 64
LOSSLESS = ["masks", "zip", "palette", "coco", "youtube-vis"]
NAMED = {"masks": "m", "zip": "m.zip", "palette": "p", "coco": "c.json", "youtube-vis": "y.json"}


def scene(index: int) -> NDArray[np.uint8]:
    """Two objects; the second leaves."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(labels, (30 + 3 * index, 32), 15, 1, -1)
    if index < 3:
        labels[5:25, 70 : 90 - index] = 2
    return labels


def binary() -> list[NDArray[np.uint8]]:
    """The masks of all frames, 0 and 255."""
    return [np.asarray(255 * (scene(index) != 0), np.uint8) for index in range(COUNT)]


@pytest.fixture
def palette(tmp_path: Path) -> Path:
    """A folder as DAVIS annotates; the names are not those of a video."""
    (tmp_path / "davis").mkdir()
    for index in range(COUNT):
        write_palette(tmp_path / "davis" / f"walk{index + 8}.png", scene(index))
    return tmp_path / "davis"


def labels_of(path: Path) -> dict[str, NDArray[np.uint8]]:
    """Name and objects; where the format has none, 1 is what is found."""
    return {
        result.name: result.mask().astype(np.uint8) if result.labels is None else result.labels
        for result in open_masks(path)
    }


@pytest.mark.parametrize("via", ["palette", "coco", "youtube-vis"])
def test_objects_and_names_survive_the_formats_that_number_them(palette: Path, tmp_path: Path, via: str) -> None:
    path = tmp_path / NAMED[via]
    assert convert_masks(palette, path, outputs=[via]) == ((path,), COUNT)
    found = labels_of(path)
    assert list(found) == ["walk8", "walk9", "walk10", "walk11"]
    for index, labels in enumerate(found.values()):
        assert np.array_equal(labels, scene(index))


def test_masks_survive_a_journey_through_all_formats(palette: Path, tmp_path: Path) -> None:
    stops = [palette, *(tmp_path / NAMED[kind] for kind in LOSSLESS), tmp_path / "m.mp4", tmp_path / "end"]
    kinds = [*LOSSLESS, "mask", "masks"]
    for (before, after), kind in zip(pairwise(stops), kinds, strict=True):
        assert convert_masks(before, after, outputs=[kind]).frames == COUNT
        for index, labels in enumerate(labels_of(after).values()):
            wrong = (labels != 0) != (scene(index) != 0)
            assert wrong.mean() < 0.002 if stops.index(after) > len(LOSSLESS) else not wrong.any()
    assert open_masks(tmp_path / "m.mp4").fps == 24


def test_polygons_are_read_back_within_a_pixel(palette: Path, tmp_path: Path) -> None:
    convert_masks(palette, tmp_path / "polygons.json", outputs=["polygons"])
    for index, labels in enumerate(labels_of(tmp_path / "polygons.json").values()):
        outline = cv2.morphologyEx(scene(index), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        assert not ((labels != scene(index)) & ~outline).any()


@pytest.mark.parametrize(
    ("name", "reads"),
    [("out", "masks"), ("out.zip", "zip"), ("out.mp4", "video"), ("out.MKV", "video"), ("out.json", "vis")],
)
def test_the_suffix_names_the_format(palette: Path, tmp_path: Path, name: str, reads: str) -> None:
    path = tmp_path / name
    convert_masks(palette, path, fps=Fraction(10))
    if reads == "masks":
        assert np.array_equal(read_gray(path / "walk8.png"), 255 * (scene(0) != 0))
    elif reads == "zip":
        assert zipfile.is_zipfile(path)
    elif reads == "video":
        assert open_frames(path).fps == 10
    else:
        assert "videos" in json.loads(path.read_text())


def test_with_the_video_masks_become_overlays_with_its_time(palette: Path, tmp_path: Path) -> None:
    times = [0.0, 0.1, 0.15, 0.5]
    clip = encode(tmp_path / "clip.mp4", moving(COUNT), times=times)
    convert_masks(palette, tmp_path / "overlay.mp4", outputs=["overlay"], video=clip)
    assert [frame.time for frame in open_frames(tmp_path / "overlay.mp4")] == pytest.approx(times)
    convert_masks(palette, tmp_path / "cut", outputs=["cutouts"], video=clip)
    alpha = cv2.imread(str(tmp_path / "cut" / "00002.png"), cv2.IMREAD_UNCHANGED)[..., 3]
    assert np.array_equal(alpha, 255 * (scene(2) != 0))


KINDS_IN_ALPHA = {"cutouts": "cut", "cutout": "cut.webm", "prores": "cut.mov"}


@pytest.mark.parametrize("kind", KINDS_IN_ALPHA)
def test_masks_are_taken_back_from_cut_outs(tmp_path: Path, kind: str) -> None:
    """The first frame holds nothing, the second everything; what is shown is bright outside and dark inside."""
    masks = [np.zeros((64, 96), np.uint8), np.full((64, 96), 255, np.uint8), *binary()[:2]]
    (tmp_path / "masks").mkdir()
    for index, mask in enumerate(masks):
        write_image(tmp_path / "masks" / f"{index:05d}.png", mask)
    pictures = [np.where(scene(0)[..., None] != 0, np.uint8(20), np.uint8(230)) * np.ones(3, np.uint8)] * 4
    clip = encode(tmp_path / "clip.mkv", pictures, codec="ffv1", pixel_format="bgr0", options={})
    convert_masks(tmp_path / "masks", tmp_path / KINDS_IN_ALPHA[kind], outputs=[kind], video=clip)
    convert_masks(tmp_path / KINDS_IN_ALPHA[kind], tmp_path / "back")
    for index, mask in enumerate(masks):
        found = read_gray(tmp_path / "back" / f"{index:05d}.png")
        assert (found != mask).mean() < (0.005 if kind == "cutout" else 1e-9)


def written_as(kind: str, mask: NDArray[np.uint8]) -> bytes:
    """The file of a mask that is in the alpha of a white image."""
    white = np.full_like(mask, 255)
    file = io.BytesIO()
    if kind == "16 bits":
        data: bytes = cv2.imencode(".png", np.dstack([white, white, white, mask]).astype(np.uint16) * 257)[1].tobytes()
        return data
    if kind == "palette":  # as what makes PNGs smaller writes them: its entries are colours
        image = Image.frombytes("P", mask.shape[::-1], (mask // 255 + 1).tobytes())
        image.putpalette([255] * 768)
        image.save(file, "PNG", transparency=bytes([9, 0, 255]))
    else:
        image = Image.merge(kind, [Image.fromarray(white)] * (len(kind) - 1) + [Image.fromarray(mask)])
        image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["LA", "RGBA", "16 bits", "palette"])
def test_images_with_the_mask_in_alpha(tmp_path: Path, kind: str) -> None:
    masks = binary()
    masks.insert(0, np.zeros((HEIGHT, WIDTH), np.uint8))
    files = {f"{i}.png": written_as(kind, mask) for i, mask in enumerate(masks)}
    files["0.png"] = encode_image(masks[0])  # as what makes PNGs smaller leaves a frame of nothing
    path = zip_of(tmp_path / "in.zip", files)
    for mask, result in zip(masks, open_masks(path), strict=True):
        assert np.array_equal(result.probability, mask / 255)
        assert result.labels is None


@pytest.mark.parametrize("opacity", [0, 128, 255])
def test_opacity_that_is_the_same_everywhere_is_no_mask(tmp_path: Path, opacity: int) -> None:
    masks = binary()
    files = {f"{i}.png": encode_image(np.dstack([m, m, m, 0 * m + opacity])) for i, m in enumerate(masks)}
    path = zip_of(tmp_path / "in.zip", files)
    for mask, result in zip(masks, open_masks(path), strict=True):
        assert np.array_equal(result.probability, mask / 255)


def test_an_opaque_video_with_alpha_is_read_by_its_brightness(tmp_path: Path) -> None:
    masks = binary()
    gray = [np.dstack([mask] * 3) for mask in masks]
    path = encode(tmp_path / "mask.mov", gray, codec="prores_ks", pixel_format="yuva444p10le", options={})
    for mask, result in zip(masks, open_masks(path), strict=True):
        assert (result.mask() != (mask > 0)).mean() < 0.002


def test_palettes_that_may_mean_something_else_are_said(tmp_path: Path) -> None:
    (tmp_path / "void").mkdir()
    labels = scene(0)
    write_palette(tmp_path / "void" / "0.png", np.where(labels == 2, 255, labels).astype(np.uint8))
    with pytest.warns(UserWarning, match="index 255 of the palette, often void, is taken for an object"):
        convert_masks(tmp_path / "void", tmp_path / "out")
    (tmp_path / "white").mkdir()
    write_palette(tmp_path / "white" / "0.png", labels, np.full((256, 3), 255, np.uint8))
    with pytest.warns(UserWarning, match="1 palettes do not begin with black"):
        convert_masks(tmp_path / "white", tmp_path / "out")


@pytest.mark.parametrize(("width", "height"), [(95, 63), (96, 63), (95, 64)])
@pytest.mark.parametrize("kind", ["mask", "palette"])
def test_the_mask_video_of_odd_sides_goes_with_its_video(tmp_path: Path, kind: str, width: int, height: int) -> None:
    """Its sides are even; so are those of what was made of it."""
    pictures = [picture[:height, :width] for picture in moving(COUNT)]
    clip = encode(tmp_path / "odd.mkv", pictures, codec="ffv1", pixel_format="bgr0", options={})
    (tmp_path / "masks").mkdir()
    for index in range(COUNT):
        write_image(
            tmp_path / "masks" / f"{index:05d}.png", 255 * (scene(index) != 0)[:height, :width].astype(np.uint8)
        )
    convert_masks(tmp_path / "masks", tmp_path / "mask.mp4")
    convert_masks(tmp_path / "mask.mp4", tmp_path / "even", outputs=["masks" if kind == "mask" else kind])
    convert_masks(tmp_path / "even", tmp_path / "cut", outputs=["cutouts"], video=clip)
    for index in range(COUNT):
        alpha = cv2.imread(str(tmp_path / "cut" / f"{index:05d}.png"), cv2.IMREAD_UNCHANGED)[..., 3]
        assert alpha.shape == (height, width)
        assert ((alpha > 127) != (scene(index)[:height, :width] != 0)).mean() < 0.002


def test_soft_maps_are_cut_at_the_threshold(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    (tmp_path / "soft").mkdir()
    write_image(tmp_path / "soft" / "0.png", ramp)
    convert_masks(tmp_path / "soft", tmp_path / "out", adjustments=Adjustments(threshold=0.25))
    assert np.array_equal(read_gray(tmp_path / "out" / "0.png"), 255 * (ramp >= 64))


def test_masks_of_0_and_1_are_not_lost_in_silence(tmp_path: Path) -> None:
    (tmp_path / "ones").mkdir()
    write_image(tmp_path / "ones" / "0.png", np.ones((4, 4), np.uint8))
    with pytest.warns(UserWarning, match=r"the highest is 1 of 255, give a threshold below 0\.004"):
        convert_masks(tmp_path / "ones", tmp_path / "out")
    convert_masks(tmp_path / "ones", tmp_path / "out", adjustments=Adjustments(threshold=0.003))
    assert (read_gray(tmp_path / "out" / "0.png") == 255).all()


def coco(**changes: Any) -> dict[str, Any]:
    """Two frames of 6 x 4 with an object in each, as other tools write them."""
    images = [{"id": i, "file_name": f"shots/{i}.jpg", "width": 6, "height": 4} for i in (10, 9)]
    square = [[1, 1, 3, 1, 3, 3, 1, 3]]
    annotations = [{"id": i, "image_id": i, "category_id": 7, "segmentation": square} for i in (9, 10)]
    return {"images": images, "annotations": annotations, "categories": [], **changes}


def save(tmp_path: Path, document: object) -> Path:
    (tmp_path / "in.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return tmp_path / "in.json"


def test_coco_of_other_tools(tmp_path: Path) -> None:
    square = np.zeros((4, 6), np.uint8)
    square[1:3, 1:3] = 1
    assert [result.name for result in open_masks(save(tmp_path, coco()))] == ["9", "10"]
    annotations = [
        {"image_id": 9, "segmentation": encode_rle(square), "attributes": {"track_id": 3}},
        {"image_id": 10, "segmentation": {"size": [4, 6], "counts": [0, 24]}, "track_id": 5},
    ]
    found = labels_of(save(tmp_path, coco(annotations=annotations)))
    assert np.array_equal(found["9"], 3 * square)
    assert (found["10"] == 5).all()
    annotations[0]["attributes"] = {"track_id": 70_000}
    assert labels_of(save(tmp_path, coco(annotations=annotations)))["9"].max() == 2  # numbered in order


HUGE = {"size": [4, 6], "counts": [2**62]}


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[" * 100_000,
        "[1, 2]",
        "{}",
        coco(images=[]),
        coco(images=[{"id": 1, "file_name": "a.png", "width": 100_000, "height": 100_000}], annotations=[]),
        coco(images=[{"id": 1, "file_name": "..", "width": 6, "height": 4}], annotations=[]),
        coco(
            images=[{"id": i, "file_name": f"{i}/a.png", "width": 6, "height": 4} for i in (1, 2)],
            annotations=[],
        ),
        coco(annotations=[{"image_id": 11, "segmentation": []}]),
        coco(annotations=[{"image_id": 9, "segmentation": HUGE}]),
        coco(annotations=[{"image_id": 9, "segmentation": {"size": [9, 6], "counts": "o0"}}]),
        coco(annotations=[{"image_id": 9, "segmentation": [[1, 2, 3]]}]),
        coco(annotations=[{"image_id": 9, "segmentation": [[1, 2, 1e999, 3, 4, 5]]}]),
        coco(annotations=[{"image_id": 9, "segmentation": [[1, 1, 1.7e308, 1, 3, 3]]}]),
        coco(annotations=[{"image_id": 9, "segmentation": [[1, -1.7e308, 2, 1.7e308, 3, 3]]}]),
        coco(annotations=[{"image_id": 9, "segmentation": [["7" * 9999]]}]),
        coco(annotations=[{"image_id": 9, "segmentation": [], "track_id": 1e999}]),
        coco(images=[{"id": 1, "file_name": "a.png", "width": 1e999, "height": 4}], annotations=[]),
        coco(images=[{"id": 1, "file_name": "a.png", "width": float("nan"), "height": 4}], annotations=[]),
        coco(images=[{"id": 1, "file_name": "a.png", "width": 10**4000, "height": 4}], annotations=[]),
        coco(images=[{"id": 1, "file_name": "a.png", "width": 9000, "height": 9000}], annotations=[]),
        *(
            coco(images=[{"id": 1, "file_name": name, "width": 6, "height": 4}], annotations=[])
            for name in ("9" * 5000, "é" * 126, "a\nb.png", "a\ud800.png", "a\0.png")
        ),
        coco(annotations=[{"image_id": 9, "segmentation": None}]),
        coco(annotations=[{"image_id": 9, "segmentation": [], "track_id": i} for i in range(256)]),
        {"videos": [], "annotations": []},
        [],
        [{"id": 1}],
        "videos",
        {
            "videos": [{"width": 6, "height": 4, "file_names": ["a.png"]}],
            "annotations": [{"id": 1, "segmentations": []}],
        },
    ],
)
def test_bad_json_is_said_in_one_line(tmp_path: Path, document: object) -> None:
    path = save(tmp_path, document)
    with pytest.raises(InputError) as error:
        convert_masks(path, tmp_path / "out")
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 300
    assert list(tmp_path.iterdir()) == [path]


def test_a_polygon_far_outside_costs_nothing(tmp_path: Path) -> None:
    far = [[-1e12, -1e12, 1e12, -1e12, 1e12, 1e12, -1e12, 1e12]]
    found = labels_of(save(tmp_path, coco(annotations=[{"image_id": 9, "segmentation": far}])))
    assert (found["9"] == 1).all()


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_zips_are_read_in_natural_order_and_never_unpacked(tmp_path: Path) -> None:
    mask = encode_image(np.full((4, 6), 255, np.uint8))
    path = zip_of(
        tmp_path / "in.zip",
        {"m/10.png": mask, "../../9.png": mask, "__MACOSX/._9.png": b"?", "readme.txt": b"?"},
    )
    assert list(labels_of(path)) == ["9", "10"]
    convert_masks(path, tmp_path / "out")
    assert sorted(file.name for file in tmp_path.rglob("*.png")) == ["10.png", "9.png"]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"a.png": b"no image"},
        {"a/0.png": encode_image(np.zeros((4, 6), np.uint8)), "b/0.png": b""},
        {
            "0.png": encode_image(np.zeros((4, 6), np.uint8)),
            "1.png": encode_image(np.zeros((5, 6), np.uint8)),
        },
        {f"{'9' * 5000}.png": encode_image(np.zeros((4, 6), np.uint8))},
        {"a\nb.png": encode_image(np.zeros((4, 6), np.uint8))},
        {"bomb.png": encode_image(np.zeros((4, 6), np.uint8))[:16] + b"\x00\x01\x86\xa0" * 2 + bytes(99)},
    ],
)
def test_bad_zips_are_said_in_one_line(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = zip_of(tmp_path / "in.zip", files)
    with pytest.raises(InputError) as error:
        convert_masks(path, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(path)) + 300
    assert list(tmp_path.iterdir()) == [path]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_damaged_zip_raises_nothing_but_a_refusal(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    path = zip_of(tmp_path / "in.zip", {f"é{i}.png": encode_image(np.zeros((4, 6), np.uint8)) for i in range(2)})
    content = bytearray(path.read_bytes())
    for place, byte in changes:
        content[place % len(content)] = byte
    path.write_bytes(content)
    with suppress(InputError):
        list(open_masks(path))


def test_folders_in_a_zip_may_have_numbers_of_any_length(tmp_path: Path) -> None:
    mask = encode_image(np.zeros((4, 6), np.uint8))
    long = "9" * 5000
    assert list(labels_of(zip_of(tmp_path / "in.zip", {f"{long}9/2.png": mask, f"{long}/1.png": mask}))) == ["1", "2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "-o", "out"], "no such file"),
        (["davis", "-o", "out.xyz"], "name the kind of output"),
        (["davis"], "name an output or kinds of output"),
        (["davis", "--output", "masks", "-o", "out.png"], "out.png: this kind of output is a folder; leave out .png"),
        (["davis", "--output", "masks", "coco", "-o", "out.mp4"], "out.mp4: several outputs need a folder"),
        (["davis", "-o", "out.webm"], "give the video as well"),
        (["davis", "-o", "davis"], "is the input itself"),
        (["davis", "-o", "out", "--threshold", "1.5"], "--threshold 1.5"),
        (["davis", "-o", "out", "--fps", "0"], "--fps 0"),
        (["davis", "-o", "out.webm", "--video", "long.mp4"], "not as many masks"),
        (["davis", "-o", "out.webm", "--video", "small.mp4"], "96x64 but the video is 48x32"),
        (["text.zip", "-o", "out"], "not a zip"),
    ],
)
def test_bad_commands_write_nothing(
    palette: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "long.mp4", moving(COUNT + 1))
    encode(tmp_path / "small.mp4", moving(COUNT, 48, 32))
    (tmp_path / "text.zip").write_text("no zip")
    before = sorted(tmp_path.rglob("*"))
    assert main(["convert", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_the_command_converts(
    palette: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["convert", "davis", "-o", "vis.json"]) == 0
    assert capsys.readouterr().out == "4 frames: wrote vis.json\n"
    assert main(["convert", "vis.json", "-o", "back", "--output", "palette"]) == 0
    assert np.array_equal(read_palette(tmp_path / "back" / "walk9.png"), scene(1))


def test_what_was_corrected_elsewhere_is_rendered_over_the_video(
    palette: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of output comes of given masks, in one run."""
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "clip.mp4", moving(COUNT))
    convert_masks(palette, tmp_path / "corrected.json", outputs=["coco"])
    assert main(["convert", "corrected.json", "--video", "clip.mp4", "--output", *OUTPUTS, "-o", "all"]) == 0
    names = {f"clip{output.suffix}" for output in OUTPUTS.values()}
    assert {path.name for path in (tmp_path / "all").iterdir()} == names
    for index, labels in enumerate(labels_of(tmp_path / "all" / "clip_palette").values()):
        assert np.array_equal(labels, scene(index))
    assert main(["convert", "corrected.json", "--video", "clip.mp4", "--output", "overlay", "cutout", "-q"]) == 0
    assert (tmp_path / "clip_overlay.mp4").exists()
    assert main(["convert", "corrected.json", "--output", "palette"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "4 frames: wrote corrected_palette"


@pytest.mark.parametrize("rate", ["1/0", "fast", "nan"])
def test_a_frame_rate_is_a_number(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["convert", "in", "-o", "out", "--fps", rate])
    assert f"{rate} is no number" in capsys.readouterr().err


def cvat(*tracks: str, size: int = COUNT, width: int = WIDTH) -> str:
    return (
        f"<annotations><meta><task><size>{size}</size><original_size><width>{width}</width><height>{HEIGHT}</height>"
        f"</original_size></task></meta>{''.join(tracks)}</annotations>"
    )


def test_cvat_is_read_back_within_a_pixel(palette: Path, tmp_path: Path) -> None:
    convert_masks(palette, tmp_path / "c.xml")
    for index, result in enumerate(open_masks(tmp_path / "c.xml")):
        outline = cv2.morphologyEx(scene(index), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        assert result.labels is not None
        assert not ((result.labels != scene(index)) & ~outline).any()


def test_cvat_of_other_makers(tmp_path: Path) -> None:
    """Boxes and masks; a shape stays until the next; what is outside, and points, are nothing."""
    box = '<box frame="0" xtl="10" ytl="5" xbr="20" ybr="15" outside="0"/>'
    gone = '<box frame="2" xtl="10" ytl="5" xbr="20" ybr="15" outside="1"/>'
    mask = '<mask frame="1" left="40" top="30" width="3" height="2" rle="1, 2, 2, 1" outside="0"/>'
    points = '<points frame="0" points="1,1;2,2" outside="0"/>'
    tracks = f'<track id="0">{box}{gone}</track><track id="900">{mask}</track><track id="901">{points}</track>'
    (tmp_path / "c.xml").write_text(cvat(tracks))
    found = [result.labels for result in open_masks(tmp_path / "c.xml")]
    expected = np.zeros((COUNT, HEIGHT, WIDTH), np.uint8)
    expected[:2, 5:15, 10:20] = 1
    for row, column in ((0, 1), (0, 2), (1, 2)):
        expected[1:, 30 + row, 40 + column] = 2
    np.testing.assert_array_equal(np.array(found), expected)


TRACK = '<track id="1"><{}/></track>'


@pytest.mark.parametrize(
    "document",
    [
        "",
        "<a>",
        "<annotations/>",
        cvat(),
        cvat(TRACK.format("box"), size=0),
        cvat(TRACK.format("box"), size=10**12),
        cvat(TRACK.format("box"), width=10**9),
        cvat(TRACK.format('box frame="x"')),
        cvat(TRACK.format('box frame="0"')),
        cvat(TRACK.format('polygon frame="0" points="1,2;3"')),
        cvat(TRACK.format('polygon frame="0" points="1,2;nan,3;4,4"')),
        cvat(TRACK.format('mask frame="0" left="90" top="0" width="9" height="1" rle="9"')),
        cvat(TRACK.format('mask frame="0" left="0" top="0" width="9" height="1" rle="8"')),
        cvat(TRACK.format('box frame="-1" xtl="0" ytl="0" xbr="1" ybr="1"')),
        cvat("".join(f'<track id="{number}"/>' for number in range(256))),
    ],
)
def test_bad_xml_is_said_in_one_line(tmp_path: Path, document: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.xml").write_text(document)
    assert main(["convert", str(tmp_path / "c.xml"), "-o", str(tmp_path / "out.zip")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"isomer: {tmp_path / 'c.xml'}: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "out.zip").exists()

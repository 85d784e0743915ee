"""Each format as its own library reads it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import av
import cv2
import numpy as np
import pytest
from encoded_videos import encode, moving
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from isomer.media import OUTPUTS, Segmented, open_frames, open_output
from isomer.media.image import DAVIS_PALETTE
from isomer.media.polygons import joined, mask_to_polygons, polygons_to_mask
from isomer.media.rle import compress_counts, decode_rle, decompress_counts, encode_brush, encode_rle

COUNT, WIDTH, HEIGHT = 6, 97, 64
MASKS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=24), elements=st.integers(0, 1))


def scene(index: int) -> NDArray[np.uint8]:
    """Object 3, a ring that moves, and object 1, a box that is not in the first and last frames."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(labels, (30 + 3 * index, 32), 20, 3, -1)
    cv2.circle(labels, (30 + 3 * index, 32), 8, 0, -1)
    if 0 < index < COUNT - 1:
        labels[5:25, 70:90] = 1
    return labels


def written(folder: Path, kind: str, fps: int = 25) -> Path:
    source = open_frames(encode(folder / "clip.mkv", moving(COUNT, WIDTH, HEIGHT), codec="ffv1", options={}, fps=fps))
    with open_output(OUTPUTS[kind], OUTPUTS[kind].default_path(source), source) as writer:
        for frame in source:
            labels = scene(frame.index)
            writer.write(Segmented.of(frame, (labels != 0).astype(np.float32), labels))
    return writer.path


@settings(deadline=None)
@given(MASKS)
def test_run_lengths_are_those_of_pycocotools(mask: NDArray[np.uint8]) -> None:
    rle = encode_rle(mask)
    expected = coco_masks.encode(np.asfortranarray(mask))
    assert rle == {"size": expected["size"], "counts": expected["counts"].decode()}
    assert np.array_equal(decode_rle(rle["size"], rle["counts"]), mask)
    assert np.array_equal(decode_rle(rle["size"], decompress_counts(rle["counts"])), mask)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**40)))
def test_counts_of_any_length_survive(counts: list[int]) -> None:
    assert decompress_counts(compress_counts(counts)) == counts


@pytest.mark.parametrize("counts", ["", "a", "é1", [1, -1, 36], [35], [2**70], "o" * 40])
def test_run_lengths_that_make_no_mask_are_refused(counts: str | list[int]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        decode_rle((6, 6), counts)


@settings(deadline=None)
@given(MASKS)
def test_exact_polygons_are_the_mask_to_us_and_to_pycocotools(mask: NDArray[np.uint8]) -> None:
    polygons = mask_to_polygons(mask, tolerance=0)
    assert np.array_equal(polygons_to_mask(polygons, mask.shape), mask)
    assert len(polygons) == cv2.connectedComponents(mask, connectivity=4)[0] - 1
    if polygons:
        filled = coco_masks.merge(coco_masks.frPyObjects([p.ravel().tolist() for p in polygons], *mask.shape))
        assert np.array_equal(coco_masks.decode(filled), mask)


def test_polygons_leave_the_outline_by_a_pixel_at_most() -> None:
    mask = np.zeros((200, 300), np.uint8)
    cv2.circle(mask, (150, 100), 80, 1, -1)
    cv2.circle(mask, (160, 90), 30, 0, -1)
    (polygon,) = mask_to_polygons(mask)
    assert len(polygon) < 80
    wrong = polygons_to_mask([polygon], mask.shape) != mask
    near = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    assert not (wrong & ~near).any()


def test_a_triangle_is_filled_as_its_area_says() -> None:
    triangle = np.array([(10.3, 20.7), (190.2, 40.1), (60.9, 180.5)])
    (x0, y0), (x1, y1), (x2, y2) = triangle
    area = abs((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)) / 2
    assert polygons_to_mask([triangle], (200, 200)).sum() == pytest.approx(area, rel=0.005)


def test_palette_pngs(tmp_path: Path) -> None:
    folder = written(tmp_path, "palette")
    for index in range(COUNT):
        with Image.open(folder / f"{index:05d}.png") as image:
            assert image.mode == "P"
            assert np.array_equal(np.asarray(image), scene(index))
            assert bytes(image.getpalette() or ()) == DAVIS_PALETTE.tobytes()


def test_a_zip_of_masks(tmp_path: Path) -> None:
    with zipfile.ZipFile(written(tmp_path, "zip")) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{index:05d}.png" for index in range(COUNT)]
        for index, name in enumerate(archive.namelist()):
            with archive.open(name) as file, Image.open(file) as image:
                assert np.array_equal(np.asarray(image), 255 * (scene(index) != 0))


@pytest.mark.parametrize("kind", ["coco", "polygons"])
def test_coco(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    coco = COCO(str(written(tmp_path, kind)))
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == [
        f"{index:05d}.png" for index in range(COUNT)
    ]
    assert len(coco.anns) == 2 * COUNT - 2
    for image in coco.getImgIds():
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for annotation in coco.imgToAnns[image]:
            mask = coco.annToMask(annotation)
            labels[mask != 0] = annotation["track_id"]
            x, y, width, height = annotation["bbox"]
            if kind == "coco":
                assert annotation["area"] == mask.sum()
                assert mask[y : y + height, x : x + width].sum() == mask.sum()
        wrong = labels != scene(image - 1)
        outline = cv2.morphologyEx(scene(image - 1), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        assert not (wrong & ~outline).any() if kind == "polygons" else not wrong.any()


@pytest.mark.parametrize("kind", ["coco", "polygons", "youtube-vis"])
def test_json_has_the_parts_that_tools_copy(tmp_path: Path, kind: str) -> None:
    """To load results, pycocotools before 2.0.11 copies `info`."""
    path = written(tmp_path, kind)
    document = json.loads(path.read_text())
    assert document["info"] == {"description": "clip.mkv"}
    assert document["licenses"] == []
    if kind != "youtube-vis":
        found = [{"score": 1.0, **annotation} for annotation in document["annotations"]]
        assert len(COCO(str(path)).loadRes(found).anns) == len(found)


def test_youtube_vis(tmp_path: Path) -> None:
    document = json.loads(written(tmp_path, "youtube-vis").read_text())
    (video,) = document["videos"]
    assert (video["length"], len(video["file_names"]), video["height"]) == (COUNT, COUNT, HEIGHT)
    assert [track["id"] for track in document["annotations"]] == [1, 3]
    for track in document["annotations"]:
        for index, rle in enumerate(track["segmentations"]):
            expected = scene(index) == track["id"]
            if rle is None:
                assert not expected.any()
                assert track["areas"][index] is None
                assert track["bboxes"][index] is None
            else:
                assert np.array_equal(coco_masks.decode(rle), expected)
                assert track["areas"][index] == expected.sum()
                assert track["bboxes"][index] == coco_masks.toBbox(rle).tolist()


@pytest.mark.parametrize("kind", ["coco", "polygons", "youtube-vis"])
def test_json_of_nothing_is_valid(tmp_path: Path, kind: str) -> None:
    source = open_frames(encode(tmp_path / "clip.mp4", moving(2)))
    with open_output(OUTPUTS[kind], OUTPUTS[kind].default_path(source), source) as writer:
        for frame in source:
            writer.write(Segmented.of(frame, np.zeros((64, 96), np.float32)))
    document = json.loads(writer.path.read_text())
    assert document["annotations"] == []
    assert len(document.get("images") or document["videos"][0]["file_names"]) == 2


def test_prores_has_alpha_that_editors_read(tmp_path: Path) -> None:
    with av.open(str(written(tmp_path, "prores"))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.codec.name, stream.codec_context.codec_tag) == ("prores", "ap4h")
        assert stream.codec_context.pix_fmt in ("yuva444p10le", "yuva444p12le")
        frames = list(container.decode(stream))
    assert len(frames) == COUNT
    for index, frame in enumerate(frames):
        alpha = frame.reformat(format="rgba").to_ndarray()[:HEIGHT, :WIDTH, 3]
        assert np.array_equal(alpha, 255 * (scene(index) != 0))


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize("fps", [5, 25])
def test_previews_loop_and_keep_the_time(tmp_path: Path, kind: str, fps: int) -> None:
    path = written(tmp_path, kind, fps)
    expected = COUNT if fps == 5 else 3  # of 25 a second those at 0, 0.12 and 0.2 s
    with Image.open(path) as image:
        assert image.n_frames == expected
        assert image.info["loop"] == 0
        durations = []
        for index in range(expected):
            image.seek(index)
            image.load()
            durations.append(image.info["duration"])
            assert image.size == (96, 64)
    assert sum(durations) == pytest.approx(1000 * COUNT / fps, abs=101)


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_previews_are_small_and_show_the_overlay(tmp_path: Path, kind: str) -> None:
    source = open_frames(encode(tmp_path / "clip.mp4", moving(2, 1280, 720)))
    disc = np.zeros((720, 1280), np.float32)
    disc[:, :640] = 1
    with open_output(OUTPUTS[kind], OUTPUTS[kind].default_path(source), source) as writer:
        for frame in source:
            writer.write(Segmented.of(frame, disc))
    with Image.open(writer.path) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert shown.shape == (270, 480, 3)
    found, rest = shown[:, 20:220], shown[:, 260:460]
    assert found[..., 2].mean() - found[..., 0].mean() > 40  # the tint is blue
    assert abs(rest[..., 2].mean() - rest[..., 0].mean()) < 20


def test_an_overlay_shows_each_object_in_its_colour(tmp_path: Path) -> None:
    pictures = list(open_frames(written(tmp_path, "overlay")))
    image, labels = pictures[2].image.astype(int), scene(2)
    inside = cv2.erode((labels == 1).astype(np.uint8), np.ones((7, 7))) > 0
    red, green, _ = image[:HEIGHT, :WIDTH][inside].mean(axis=0)
    assert red > green + 10  # 1 is red, 3 is olive
    inside = cv2.erode((labels == 3).astype(np.uint8), np.ones((5, 5))) > 0
    red, green, blue = image[:HEIGHT, :WIDTH][inside].mean(axis=0)
    assert min(red, green) > blue + 10


def decoded_brush(data: bytes) -> list[int]:
    """Decode an image as the JavaScript of rle-pack does, bit by bit; Label Studio reads it so."""
    bits = iter("".join(f"{byte:08b}" for byte in data))

    def read(count: int) -> int:
        return int("".join(next(bits) for _ in range(count)), 2)

    size, width = read(32), read(5) + 1
    widths = [read(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < size:
        is_run = read(1)
        count = 1 + read(widths[read(2)])
        values += [read(width)] * count if is_run else [read(width) for _ in range(count)]
    return values


@settings(deadline=None)
@given(MASKS)
def test_brushes_are_those_of_label_studio(mask: NDArray[np.uint8]) -> None:
    image = decoded_brush(encode_brush(mask))
    assert np.array_equal(np.reshape(image, (*mask.shape, 4)), np.repeat(255 * mask[..., None], 4, axis=2))


def test_a_brush_has_runs_of_any_length() -> None:
    mask = np.zeros((200, 300), np.uint8)
    mask[:, 299] = 1
    mask[100:] = 1
    image = decoded_brush(encode_brush(mask))
    assert np.array_equal(np.reshape(image, (*mask.shape, 4))[..., 3], 255 * mask)


@settings(deadline=None)
@given(MASKS)
def test_parts_that_are_joined_fill_the_same(mask: NDArray[np.uint8]) -> None:
    if mask.any():
        assert np.array_equal(polygons_to_mask([joined(mask_to_polygons(mask, tolerance=0))], mask.shape), mask)


def near(found: NDArray[np.bool_], labels: NDArray[np.uint8], number: int) -> bool:
    """Tell whether a mask is an object's but for pixels at its outline."""
    outline = cv2.morphologyEx((labels == number).astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    return not ((found != (labels == number)) & ~outline).any()


def test_cvat_has_a_track_an_object_that_ends_where_it_goes(tmp_path: Path) -> None:
    root = ElementTree.parse(written(tmp_path, "cvat")).getroot()
    assert root.findtext("meta/task/name") == "clip.mkv"
    assert [root.findtext(f"meta/task/original_size/{side}") for side in ("width", "height")] == ["97", "64"]
    tracks = {int(track.attrib["id"]): track for track in root.iter("track")}
    assert {number: [int(shape.attrib["frame"]) for shape in track] for number, track in tracks.items()} == {
        1: [1, 2, 3, 4, 5],
        3: [0, 1, 2, 3, 4, 5],
    }
    assert [shape.attrib["outside"] for shape in tracks[1]] == ["0", "0", "0", "0", "1"]
    for number, track in tracks.items():
        for shape in track:
            if shape.attrib["outside"] == "0":
                corners = [[float(side) for side in corner.split(",")] for corner in shape.attrib["points"].split(";")]
                found = polygons_to_mask([np.array(corners)], (HEIGHT, WIDTH)) > 0
                assert near(found, scene(int(shape.attrib["frame"])), number)


def test_cvat_is_read_by_datumaro(tmp_path: Path) -> None:
    """CVAT reads its XML by rules of its own, and this library, which is of the same makers, by the same."""
    datumaro = pytest.importorskip("datumaro", reason="datumaro is large; it is not among what tests need")
    written(tmp_path, "cvat")
    dataset = datumaro.Dataset.import_from(str(tmp_path / "clip_cvat.xml"), "cvat")
    shown = {3: set[int](), 1: set[int]()}
    for item in dataset:
        for polygon in item.annotations:
            if not polygon.attributes["outside"]:
                corners = np.reshape(polygon.points, (-1, 2))
                number, frame = polygon.attributes["track_id"], int(item.attributes["frame"])
                assert near(polygons_to_mask([corners], (HEIGHT, WIDTH)) > 0, scene(frame), number)
                shown[number].add(frame)
    assert shown == {3: set(range(6)), 1: {1, 2, 3, 4}}


def test_coco_is_read_by_datumaro_with_its_tracks(tmp_path: Path) -> None:
    datumaro = pytest.importorskip("datumaro", reason="datumaro is large; it is not among what tests need")
    for folder in ("annotations", "images"):  # without them it refuses to look
        (tmp_path / folder).mkdir()
    path = written(tmp_path, "coco").rename(tmp_path / "annotations" / "clip.json")
    dataset = datumaro.Dataset.import_from(str(path), "coco_instances")
    for item in dataset:
        masks = [found for found in item.annotations if found.type is datumaro.AnnotationType.mask]
        assert {mask.attributes["track_id"] for mask in masks} == set(np.unique(scene(int(item.id)))) - {0}
        for mask in masks:
            assert np.array_equal(mask.image > 0, scene(int(item.id)) == mask.attributes["track_id"])


LABELLING = """
<View>
  <Image name="image" value="$image"/>
  <BrushLabels name="object" toName="image"><Label value="1"/><Label value="3"/></BrushLabels>
</View>
"""


def test_label_studio_tasks(tmp_path: Path) -> None:
    tasks = json.loads(written(tmp_path, "label-studio").read_text())
    images = [task["data"]["image"] for task in tasks]
    assert images == [f"/data/local-files/?d=clip/{index:05d}.png" for index in range(COUNT)]
    for index, task in enumerate(tasks):
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for region in task["predictions"][0]["result"]:
            (label,) = region["value"]["brushlabels"]
            image = np.reshape(decoded_brush(bytes(region["value"]["rle"])), (HEIGHT, WIDTH, 4))
            labels[image[..., 3] > 0] = int(label)
        assert np.array_equal(labels, scene(index))


def test_label_studio_reads_its_tasks(tmp_path: Path) -> None:
    pytest.importorskip("label_studio_sdk", reason="its library is not among what tests need")
    from label_studio_sdk.converter.brush import decode_rle as decode_brush
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface(LABELLING)
    for index, task in enumerate(json.loads(written(tmp_path, "label-studio").read_text())):
        for prediction in task["predictions"]:
            assert interface.validate_prediction(prediction, return_errors=True) == []
            for region in prediction["result"]:
                image = np.reshape(decode_brush(region["value"]["rle"]), (HEIGHT, WIDTH, 4))
                assert np.array_equal(image[..., 3] > 0, scene(index) == int(region["value"]["brushlabels"][0]))

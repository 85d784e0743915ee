"""Prompts, as those who take them need them."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from encoded_videos import encode, moving
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from pycocotools import mask as coco_masks

from isomer.media import OUTPUTS, Segmented, open_frames, open_output
from isomer.media.containers import prompts as container
from isomer.media.prompts import clearness, deepest_points, prompt_of

COUNT, WIDTH, HEIGHT = 60, 97, 64
REGIONS = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 1))


def scene(index: int) -> NDArray[np.uint8]:
    """A disc that comes in from the left and grows until frame 40, then shrinks, and a box that frame 30 alone has."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(labels, (index, 30), 10 + min(index, 80 - index) // 4, 7, -1)
    if index == 30:
        labels[40:60, 70:90] = 2
    return labels


def written(folder: Path, shown: float = 0.9) -> dict:
    source = open_frames(encode(folder / "clip.mkv", moving(COUNT, WIDTH, HEIGHT), codec="ffv1", options={}))
    with open_output(OUTPUTS["prompts"], folder / "clip_prompts.json", source) as writer:
        for frame in source:
            labels = scene(frame.index)
            writer.write(Segmented.of(frame, np.where(labels > 0, np.float32(shown), 0), labels))
    return json.loads(writer.path.read_text())


def test_there_is_a_prompt_where_an_object_is_clearest_and_in_every_24th_frame(tmp_path: Path) -> None:
    document = written(tmp_path)
    assert (document["format"], document["version"]) == ("isomer-prompts", 1)
    assert document["video"] == {"name": "clip.mkv", "width": WIDTH, "height": HEIGHT, "frames": COUNT}
    places = [(prompt["frame"], prompt["object"], prompt["is_clearest"]) for prompt in document["prompts"]]
    assert places == [(0, 7, False), (24, 7, False), (30, 2, True), (40, 7, True), (48, 7, False)]
    for prompt in document["prompts"]:
        assert (prompt["name"], prompt["time"]) == (f"{prompt['frame']:05d}", pytest.approx(prompt["frame"] / 25))


def test_a_clearest_frame_that_is_due_anyway_is_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "_EVERY", 10)
    places = [(prompt["frame"], prompt["object"], prompt["is_clearest"]) for prompt in written(tmp_path)["prompts"]]
    assert [place for place in places if place[0] == 30] == [(30, 2, True), (30, 7, False)]
    assert [place for place in places if place[0] == 40] == [(40, 7, True)]


def test_boxes_points_and_masks_are_of_the_object(tmp_path: Path) -> None:
    for prompt in written(tmp_path)["prompts"]:
        labels = scene(prompt["frame"])
        mask = labels == prompt["object"]
        assert np.array_equal(coco_masks.decode(prompt["mask"]), mask)
        left, top, right, bottom = prompt["box"]
        assert [left, top, right - left, bottom - top] == coco_masks.toBbox(prompt["mask"]).tolist()
        assert sorted(prompt["point_labels"], reverse=True) == prompt["point_labels"] == [1, 1, 1, 0, 0, 0]
        for (x, y), on in zip(prompt["points"], prompt["point_labels"], strict=True):
            assert labels[y, x] == (prompt["object"] if on else 0)
        x, y = prompt["points"][0]
        if prompt["object"] == 7 and prompt["frame"] > 25:  # wholly in sight
            assert max(abs(x - prompt["frame"]), abs(y - 30)) <= 1


@settings(deadline=None)
@given(REGIONS)
def test_points_are_as_far_from_all_else_as_can_be(region: NDArray[np.uint8]) -> None:
    points, depth = deepest_points(region, 3)
    assert len(points) == min(3, region.sum())
    height, width = region.shape
    grid = list(product(range(-1, height + 1), range(-1, width + 1)))
    barred = [(y, x) for y, x in grid if not (0 <= y < height and 0 <= x < width and region[y, x])]
    for index, (x, y) in enumerate(points):

        def clear(y: int, x: int) -> float:
            return min(np.hypot(y - other_y, x - other_x) for other_y, other_x in barred)

        most = max(clear(*place) for place in zip(*np.nonzero(region), strict=True))
        assert clear(y, x) == pytest.approx(most)
        assert index > 0 or depth == pytest.approx(most)
        barred.append((y, x))


def test_points_off_an_object_are_near_it_and_on_no_other() -> None:
    labels = np.zeros((100, 200), np.uint8)
    labels[40:60, 40:60] = 1
    labels[:, 61:] = 2
    prompt = prompt_of(labels, 1)
    off = [point for point, on in zip(prompt["points"], prompt["point_labels"], strict=True) if not on]
    assert len(off) == 3
    for x, y in off:
        assert labels[y, x] == 0
        assert np.hypot(max(40 - x, x - 59, 0), max(40 - y, y - 59, 0)) <= 20  # twice as far as its middle is inside


def test_an_object_that_fills_the_frame_has_no_points_off_it() -> None:
    assert prompt_of(np.ones((9, 9), np.uint8), 1)["point_labels"] == [1, 1, 1]


def test_clearer_is_what_is_larger_surer_or_wholly_in_sight() -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[4:10, 5:15] = 1
    sure, unsure = (np.full(labels.shape, level, np.uint8) for level in (255, 153))
    assert clearness(labels, sure, 1) == pytest.approx(60 / 600)
    assert clearness(labels, unsure, 1) == pytest.approx(60 / 600 * 0.6)
    for axis, by in ((0, -4), (0, 10), (1, -5), (1, 15)):
        assert clearness(np.roll(labels, by, axis), sure, 1) == pytest.approx(60 / 600 / 2)

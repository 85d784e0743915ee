"""What comes out, with the real model: it must be what the command line gives."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from serving import (
    JobQueue,
    TestClient,
    as_files,
    create_app,
    decoded,
    encode,
    gray,
    moving_square,
    submit,
    unzipped,
    wait,
)

from isomer.media import Look, Segmented, open_frames, pictures
from isomer.media.image import encode_image
from isomer.options import VideoOptions
from isomer.segment import segment_video
from isomer.segment.objects.project import list_objects
from isomer.serve.options import Limits


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    queue = JobQueue(tmp_path_factory.mktemp("server") / "jobs", Limits(), VideoOptions(size=64))
    with TestClient(create_app(queue), base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="module")
def job(client: TestClient, clip: Path) -> dict[str, object]:
    return wait(client, submit(client, clip))


@pytest.fixture(scope="module")
def expected(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Probability PNGs by name, as the command line writes them of a project."""
    folder = tmp_path_factory.mktemp("expected")
    project = folder / "square.isomer.json"
    list_objects(clip, VideoOptions(size=64), project)
    return as_files(segment_video(project, folder / "maps", outputs=["probabilities"]))


def palette(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_an_anamorphic_video_is_shown_in_its_shape(client: TestClient, tmp_path: Path) -> None:
    path = encode(tmp_path / "dv.mp4", count=3, size=(96, 64), aspect="4/3")
    job = wait(client, submit(client, path))
    assert (job["width"], job["height"]) == (96, 64)
    address = f"/v1/jobs/{job['id']}"
    assert decoded(client.get(f"{address}/preview").content)[0].shape == (2 * 64, 128, 3)
    with av.open(io.BytesIO(client.get(f"{address}/results/overlay").content)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.sample_aspect_ratio) == (96, 64, Fraction(4, 3))


def test_a_job_says_what_it_is(job: dict[str, object]) -> None:
    assert (job["state"], job["error"], job["warning"]) == ("done", None, None)
    assert (job["name"], job["frames_done"], job["frames_total"]) == ("square.mp4", 10, 10)
    assert (job["width"], job["height"], job["fps"]) == (96, 64, 25.0)
    assert job["frames_per_second"] > 0


def test_probabilities_are_those_of_the_one_call(
    client: TestClient, job: dict[str, object], expected: dict[str, bytes], clip: Path, tmp_path: Path
) -> None:
    response = client.get(f"/v1/jobs/{job['id']}/results/probabilities")
    assert response.headers["content-type"] == "application/zip"
    assert response.headers["content-disposition"] == 'attachment; filename="square_probabilities.zip"'
    assert unzipped(response.content) == expected
    at_once = as_files(segment_video(clip, tmp_path / "maps", outputs=["probabilities"], size=64))
    for name, levels in expected.items():  # what is kept has 8 bits
        assert np.abs(gray(levels).astype(int) - gray(at_once[name])).mean() < 0.5


@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_masks_are_the_maps_at_the_threshold(
    client: TestClient, job: dict[str, object], expected: dict[str, bytes], threshold: float
) -> None:
    response = client.get(f"/v1/jobs/{job['id']}/results/masks", params={"threshold": threshold})
    masks = unzipped(response.content)
    assert masks.keys() == expected.keys()
    for name, levels in expected.items():
        np.testing.assert_array_equal(gray(masks[name]) == 255, gray(levels) / 255 >= threshold)


def test_objects_are_told_apart_in_the_stored_maps(
    client: TestClient, job: dict[str, object], expected: dict[str, bytes], clip: Path, tmp_path: Path
) -> None:
    fetched = f"/v1/jobs/{job['id']}/results/palette"
    apart, together = (
        unzipped(client.get(fetched, params={"threshold": 0.3, "objects": told}).content) for told in (True, False)
    )
    project = tmp_path / "square.isomer.json"
    list_objects(clip, VideoOptions(size=64, threshold=0.3), project)
    assert apart == as_files(segment_video(project, tmp_path / "apart", outputs=["palette"], objects=True))
    for name, levels in expected.items():
        np.testing.assert_array_equal(palette(together[name]), gray(levels) / 255 >= 0.3)  # with specks


def test_objects_are_chosen_in_the_stored_maps(
    client: TestClient, job: dict[str, object], expected: dict[str, bytes]
) -> None:
    fetched = f"/v1/jobs/{job['id']}/results/masks"
    everything, kept, left = (
        unzipped(client.get(fetched, params=picks).content) for picks in ({}, {"keep": ["all"]}, {"drop": ["largest"]})
    )
    for name, levels in everything.items():
        assert not (gray(kept[name]) > gray(levels)).any()
        assert gray(left[name]).sum() <= gray(kept[name]).sum()
    assert sum(gray(mask).sum() for mask in left.values()) < sum(gray(mask).sum() for mask in kept.values())


@pytest.mark.parametrize(("pick", "problem"), [("him", "keep=him: not a number"), ("77", "keep=77: no such object")])
def test_an_object_that_is_not_there_is_refused(
    client: TestClient, job: dict[str, object], pick: str, problem: str
) -> None:
    response = client.get(f"/v1/jobs/{job['id']}/results/masks", params={"keep": [pick]})
    assert response.status_code == 422
    assert response.json()["detail"].startswith(problem)


@pytest.mark.parametrize(
    "adjustment", [{"grow": 3}, {"shrink": 2}, {"fill_holes": True}, {"min_area": 400}, {"feather": 2.5}]
)
def test_adjustments_are_those_of_the_one_call(
    client: TestClient, job: dict[str, object], expected: dict[str, bytes], clip: Path, adjustment: dict[str, Any]
) -> None:
    kind = "cutouts" if "feather" in adjustment else "masks"
    written = unzipped(client.get(f"/v1/jobs/{job['id']}/results/{kind}", params=adjustment).content)
    look = Look(**adjustment)
    for frame in open_frames(clip):
        name = f"{frame.name}.png"
        found = Segmented.of(frame, np.divide(gray(expected[name]), 255, dtype=np.float32))
        shown = pictures.matte(found, look) if kind == "cutouts" else pictures.mask(found, look)
        levels = gray(written[name])
        if kind == "cutouts":  # of which `expected` has but 8 bits
            np.testing.assert_allclose(levels[..., 3].astype(int), shown, atol=1)
        else:
            np.testing.assert_array_equal(levels, shown)


@pytest.mark.parametrize("asked", [{"grow": -1}, {"shrink": 101}, {"feather": "much"}, {"min_area": 0.5}])
def test_an_adjustment_out_of_range_is_refused(
    client: TestClient, job: dict[str, object], asked: dict[str, object]
) -> None:
    response = client.get(f"/v1/jobs/{job['id']}/results/masks", params=asked)
    assert response.status_code == 422
    ((name, value),) = asked.items()
    assert response.json()["detail"].startswith(f"{name}={value}: ")


def test_objects_are_listed_with_their_looks(client: TestClient, job: dict[str, object]) -> None:
    address = f"/v1/jobs/{job['id']}"
    listed = client.get(f"{address}/objects").json()["objects"]
    numbered = unzipped(client.get(f"{address}/results/palette", params={"objects": True}).content)
    seen = [set(np.unique(palette(data))) - {0} for data in numbered.values()]
    assert {one["number"] for one in listed} == set().union(*seen) != set()
    for one in listed:
        assert one["frames"] == sum(one["number"] in numbers for numbers in seen)
        head, _, image = one["thumbnail"].partition(",")
        assert head == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(image))).size == (240, 144)


def test_the_preview_is_without_objects_that_are_left_out(client: TestClient, job: dict[str, object]) -> None:
    address = f"/v1/jobs/{job['id']}"
    numbers = [one["number"] for one in client.get(f"{address}/objects").json()["objects"]]
    whole = decoded(client.get(f"{address}/preview").content)
    without = decoded(client.get(f"{address}/preview", params={"drop": numbers}).content)
    assert len(without) == len(whole)
    assert max(picture[64:].max() for picture in whole) > 200
    assert max(picture[64:].max() for picture in without) < 20


def test_videos_have_every_frame(client: TestClient, job: dict[str, object]) -> None:
    for kind, media_type in (("overlay", "video/mp4"), ("mask", "video/mp4"), ("cutout", "video/webm")):
        response = client.get(f"/v1/jobs/{job['id']}/results/{kind}")
        assert response.headers["content-type"] == media_type
        pictures = decoded(response.content)
        assert (len(pictures), pictures[0].shape) == (10, (64, 96, 3))


def test_the_preview_has_frame_above_map(
    client: TestClient, job: dict[str, object], expected: dict[str, bytes], clip: Path
) -> None:
    pictures = decoded(client.get(f"/v1/jobs/{job['id']}/preview").content)
    originals = decoded(clip.read_bytes())
    assert len(pictures) == len(originals) == len(expected)
    for picture, original, name in zip(pictures, originals, sorted(expected), strict=True):
        assert picture.shape == (128, 96, 3)
        assert np.abs(picture[:64].astype(int) - original).mean() < 8
        assert np.abs(picture[64:, :, 0].astype(int) - gray(expected[name])).mean() < 4


def test_events_end_with_the_result(client: TestClient, clip: Path) -> None:
    job = submit(client, clip)
    with client.stream("GET", f"/v1/jobs/{job['id']}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
    assert events[-1]["state"] == "done"
    counts = [event["frames_done"] for event in events]
    assert counts == sorted(counts)


def test_frames_are_taken_in_the_order_they_come(
    client: TestClient, expected: dict[str, bytes], tmp_path: Path
) -> None:
    images = moving_square(6)
    names = ["../../../b.png", "/etc/a.png", "b.png", "b.png", "..", "C:\\z.png"]
    parts = [
        ("frames", (name, encode_image(image, (".png", ".jpg")[index % 2])))
        for index, (name, image) in enumerate(zip(names, images, strict=True))
    ]
    job = wait(client, client.post("/v1/jobs", files=parts).json())
    assert (job["state"], job["frames_total"], job["error"]) == ("done", 6, None)
    maps = unzipped(client.get(f"/v1/jobs/{job['id']}/results/probabilities").content)
    assert sorted(maps) == [f"{index:05d}.png" for index in range(6)]
    pictures = decoded(client.get(f"/v1/jobs/{job['id']}/preview").content)
    for picture, image in zip(pictures, images, strict=True):
        assert np.abs(picture[:64].astype(int) - image).mean() < 10


def test_a_removed_job_is_gone(client: TestClient, clip: Path) -> None:
    job = wait(client, submit(client, clip))
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    for path in ("", "/events", "/preview", "/results/mask"):
        assert client.get(f"/v1/jobs/{job['id']}{path}").status_code == 404


def test_a_damaged_video_is_done_with_a_warning(client: TestClient, tmp_path: Path) -> None:
    cut = encode(tmp_path / "cut.mkv", fps=2)
    cut.write_bytes(cut.read_bytes()[: -cut.stat().st_size // 6])
    job = wait(client, submit(client, cut))
    assert job["state"] == "done"
    assert 2 <= job["frames_done"] < 10
    assert job["warning"].startswith("video: damaged after ")


@pytest.mark.parametrize(("background", "rgb"), [("white", (255, 255, 255)), ("#203040", (0x20, 0x30, 0x40))])
def test_a_composite_has_the_background_that_is_asked_for(
    client: TestClient, job: dict[str, object], background: str, rgb: tuple[int, int, int]
) -> None:
    fetched = f"/v1/jobs/{job['id']}/results/composites"
    still = unzipped(client.get(fetched, params={"background": background, "threshold": 0.99}).content)["00000.png"]
    assert (cv2.cvtColor(gray(still), cv2.COLOR_BGR2RGB)[0, 0] == rgb).all()


@pytest.mark.parametrize("background", ["/etc/passwd", "video", "beach.jpg", "../video", "blur:x", "white\n", ""])
def test_no_file_of_the_server_is_a_background(client: TestClient, job: dict[str, object], background: str) -> None:
    response = client.get(f"/v1/jobs/{job['id']}/results/composite", params={"background": background})
    assert response.status_code == 422
    assert "background" in response.json()["detail"]


def test_a_transparent_video_is_refused_in_words(client: TestClient, job: dict[str, object]) -> None:
    response = client.get(f"/v1/jobs/{job['id']}/results/composite", params={"background": "transparent"})
    assert response.status_code == 422
    assert "is for images such as composites" in response.json()["detail"]

"""Corrections by the API: what they do, what is refused, and what stays of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stand_ins
from numpy.typing import NDArray
from serving import (
    JobQueue,
    Start,
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

from isomer.media.image import encode_image
from isomer.options import VideoOptions
from isomer.segment import segment_video
from isomer.segment.objects.project import read_project
from isomer.serve import queue as queues
from isomer.serve.jobs import SCRATCH
from isomer.serve.options import Limits

LENGTH, FRAME = 90, 45
PLACE = 72 / 96, 32 / 64  # of the square's middle there
CORRECTION = {"frame": FRAME, "remove": [PLACE]}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    queue = JobQueue(tmp_path_factory.mktemp("server") / "jobs", Limits(), VideoOptions(size=64))
    with TestClient(create_app(queue), base_url="http://localhost") as client:
        yield client


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clip") / "long.mp4", count=LENGTH)


@pytest.fixture
def job(client: TestClient, video: Path) -> dict[str, Any]:
    return wait(client, submit(client, video))


def masks(client: TestClient, job: dict[str, Any], **asked: object) -> list[NDArray[np.uint8]]:
    response = client.get(f"/v1/jobs/{job['id']}/results/masks", params=asked)
    return [gray(data) for _, data in sorted(unzipped(response.content).items())]


def test_a_correction_holds_in_its_frame_and_fades_around(client: TestClient, job: dict[str, Any]) -> None:
    address = f"/v1/jobs/{job['id']}"
    before, shown = masks(client, job), decoded(client.get(f"{address}/preview").content)
    response = client.post(f"{address}/corrections", json=CORRECTION)
    assert (response.status_code, response.json()["corrections"]) == (201, [{"frame": FRAME, "remove": [list(PLACE)]}])
    after = masks(client, job)
    assert (before[FRAME][32, 72], after[FRAME][32, 72]) == (255, 0)
    changed = [index for index in range(LENGTH) if (before[index] != after[index]).any()]
    assert FRAME in changed
    assert FRAME - 28 <= min(changed) < max(changed) <= FRAME + 28

    pictures = decoded(client.get(f"{address}/preview").content)
    assert len(pictures) == LENGTH
    assert (shown[FRAME][64 + 32, 72, 0] > 127, pictures[FRAME][64 + 32, 72, 0] > 127) == (True, False)
    differ = [index for index in range(LENGTH) if (shown[index] != pictures[index]).any()]
    assert set(changed) <= set(differ)
    assert len(differ) < LENGTH  # the rest is not encoded again
    assert max(np.abs(one[:64].astype(int) - other[:64]).mean() for one, other in zip(shown, pictures, strict=True)) < 4

    response = client.delete(f"{address}/corrections/last")
    assert (response.status_code, response.json()["corrections"]) == (200, [])
    for one, other in zip(before, masks(client, job), strict=True):
        np.testing.assert_array_equal(one, other)
    response = client.delete(f"{address}/corrections/last")
    assert (response.status_code, response.json()["detail"]) == (409, "the job has no correction to undo")


def test_one_correction_after_the_other_is_all_at_once(client: TestClient, job: dict[str, Any], video: Path) -> None:
    """What is kept between corrections must not change what comes of them."""
    other = wait(client, submit(client, video))
    said = [CORRECTION, {"frame": FRAME + 9, "add": [[0.1, 0.1]]}, {"frame": 20, "box": [0.2, 0.2, 0.5, 0.6]}]
    for one in said:
        client.post(f"/v1/jobs/{job['id']}/corrections", json=one)
        masks(client, job)
        client.post(f"/v1/jobs/{other['id']}/corrections", json=one)
    for one, two in zip(masks(client, job), masks(client, other), strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_a_person_adds_is_an_object_that_can_be_left_out(client: TestClient, job: dict[str, Any]) -> None:
    address = f"/v1/jobs/{job['id']}"
    numbers = [one["number"] for one in client.get(f"{address}/objects").json()["objects"]]
    area = [[x / 96, y / 64] for x in range(4, 20, 2) for y in range(48, 62, 2)]
    client.post(f"{address}/corrections", json={"frame": FRAME, "add": area})
    listed = client.get(f"{address}/objects").json()["objects"]
    assert [one["number"] for one in listed][:-1] == numbers
    new = listed[-1]
    assert (new["clearest"], new["thumbnail"].startswith("data:image/jpeg")) == (FRAME, True)
    assert masks(client, job)[FRAME][54, 11] == 255
    assert masks(client, job, drop=[new["number"]])[FRAME][54, 11] == 0


def test_the_command_line_goes_on_from_the_project(
    client: TestClient, job: dict[str, Any], video: Path, tmp_path: Path
) -> None:
    address = f"/v1/jobs/{job['id']}"
    client.post(f"{address}/corrections", json=CORRECTION)
    response = client.get(f"{address}/project", params={"threshold": 0.4, "drop": ["2"]})
    assert response.headers["content-disposition"] == 'attachment; filename="long_project.zip"'
    for name, data in unzipped(response.content).items():
        (tmp_path / name).write_bytes(data)
    shutil.copy(video, tmp_path / "long.mp4")
    path = tmp_path / "long.isomer.json"
    project = read_project(path)
    assert (project.video, project.threshold, project.keep, project.drop) == ("long.mp4", 0.4, (), ("2",))
    assert [one.remove for one in project.corrections] == [(PLACE,)]
    path.write_text(path.read_text().replace('"drop": ["2"]', '"drop": []'))
    found = {
        name: gray(data) for name, data in as_files(segment_video(path, tmp_path / "m", outputs=["masks"])).items()
    }
    here = masks(client, job, threshold=0.4)
    # The corrected frames themselves come from the video, not from the preview.
    assert [found[f"{index:05d}.png"].tolist() for index in (0, LENGTH - 1)] == [here[0].tolist(), here[-1].tolist()]
    assert found[f"{FRAME:05d}.png"][32, 72] == 0


def test_frames_have_no_project(client: TestClient) -> None:
    parts = [("frames", (f"{index}.png", encode_image(image))) for index, image in enumerate(moving_square(4))]
    job = wait(client, client.post("/v1/jobs", files=parts).json())
    response = client.get(f"/v1/jobs/{job['id']}/project")
    assert (response.status_code, response.json()["detail"].startswith("project: is of a video")) == (422, True)


@pytest.mark.parametrize("edges", ["map", "refined", "matte"])
def test_edges_are_those_of_the_one_call(
    client: TestClient, job: dict[str, Any], video: Path, tmp_path: Path, edges: str
) -> None:
    address = f"/v1/jobs/{job['id']}"
    here = unzipped(client.get(f"{address}/results/cutouts", params={"edges": edges}).content)
    shutil.copy(video, tmp_path / "long.mp4")
    for name, data in unzipped(client.get(f"{address}/project").content).items():
        (tmp_path / name).write_bytes(data)
    there = as_files(segment_video(tmp_path / "long.isomer.json", tmp_path / "out", outputs=["cutouts"], edges=edges))
    assert here == there


def test_the_preview_has_the_edges_that_are_asked_for(client: TestClient, job: dict[str, Any]) -> None:
    refined, plain, matte = (
        client.get(f"/v1/jobs/{job['id']}/preview", params={"edges": edges}).content
        for edges in ("refined", "map", "matte")
    )
    assert refined == matte != plain
    assert len(decoded(plain)) == LENGTH


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [
        (b"{", 400, "not JSON"),
        (b"", 400, "not JSON"),
        (b"[" * 5000, 400, "not JSON"),
        (b'{"frame": 1, "add": [[0.5, 0.5]]}' + b" " * 20_000, 413, "more than 16384 bytes"),
        ([], 422, "correction: "),
        ({"frame": 1}, 422, "says nothing"),
        ({"add": [[0.5, 0.5]]}, 422, "frame: Field required"),
        ({"frame": -1, "add": [[0.5, 0.5]]}, 422, "frame: "),
        ({"frame": 10, "add": [[0.5, 0.5]]}, 422, "frame: 10 is not in the video; choose one of 0 to 2"),
        ({"frame": 10**30, "add": [[0.5, 0.5]]}, 422, "frame: "),
        ({"frame": True, "add": [[0.5, 0.5]]}, 422, "frame: "),
        ({"frame": 1, "add": [[1.5, 0.5]]}, 422, "add.0.0: "),
        ({"frame": 1, "add": [[0.5]]}, 422, "add.0.1: "),
        (b'{"frame": 1, "add": [[NaN, 0.5]]}', 422, "add.0.0: "),
        ({"frame": 1, "remove": [[0.5, 0.5]] * 65}, 422, "remove: "),
        ({"frame": 1, "box": [0.5, 0.5, 0.6, 0.1]}, 422, "its box is not within the frame"),
        ({"frame": 1, "box": [0.5, 0.5, 0.0, 0.1]}, 422, "its box is not within the frame"),
        ({"frame": 1, "add": [[0.5, 0.5]], "number": 256}, 422, "number: "),
        ({"frame": 1, "add": [[0.5, 0.5]], "mask": {}}, 422, "mask: "),
    ],
)
def test_what_is_no_correction_is_refused_in_one_line(
    start: Start, clip: Path, said: Any, status: int, reason: str
) -> None:
    client = start(stand_ins.quick)
    job = wait(client, submit(client, clip))
    address = f"/v1/jobs/{job['id']}"
    content = {"content": said} if isinstance(said, bytes) else {"json": said}
    response = client.post(f"{address}/corrections", **content)
    assert response.status_code == status
    detail = response.json()["detail"]
    assert (reason in detail, len(detail) < 200, "\n" in detail) == (True, True, False)
    assert client.get(address).json()["corrections"] == []


def test_jobs_that_are_not_done_take_no_correction(start: Start, clip: Path, tmp_path: Path) -> None:
    client = start(stand_ins.endless)
    job = submit(client, clip)
    wait(client, job, "running")
    address = f"/v1/jobs/{job['id']}"
    for path in ("/project", "/times"):
        assert client.get(f"{address}{path}").status_code == 409
    assert client.post(f"{address}/corrections", json=CORRECTION).status_code == 409
    assert client.delete(f"{address}/corrections/last").status_code == 409
    client.delete(address)
    assert client.post(f"{address}/corrections", json=CORRECTION).status_code == 404
    assert client.delete(f"{address}/corrections/last").status_code == 404
    assert not (tmp_path / "jobs" / job["id"]).exists()


def test_corrections_survive_a_restart(start: Start, clip: Path, tmp_path: Path) -> None:
    client = start(stand_ins.quick)
    job = wait(client, submit(client, clip))
    said = {"frame": 2, "add": [[0.25, 0.5]], "number": 3}
    client.post(f"/v1/jobs/{job['id']}/corrections", json=said)
    client.__exit__(None, None, None)
    (left,) = tmp_path.glob("jobs/*/job.json")
    (left.parent / f"{SCRATCH}x").mkdir()  # as a server that was killed leaves
    again = start(stand_ins.quick)
    assert not list(tmp_path.glob(f"jobs/*/{SCRATCH}*"))
    assert again.get(f"/v1/jobs/{job['id']}").json()["corrections"] == [said]


def test_corrections_at_once_are_all_kept(start: Start, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "CORRECTIONS", 12)
    client = start(stand_ins.quick)
    job = wait(client, submit(client, clip))
    address = f"/v1/jobs/{job['id']}/corrections"
    said = [{"frame": 1, "add": [[index / 100, 0.5]]} for index in range(16)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: client.post(address, json=one), said))
    taken = [one for one, answer in zip(said, answers, strict=True) if answer.status_code == 201]
    assert len(taken) == 12
    refused = {answer.json()["detail"] for answer in answers if answer.status_code != 201}
    assert refused == {"correction: the job has 12, and takes no more; undo some"}
    kept = client.get(f"/v1/jobs/{job['id']}").json()["corrections"]
    assert sorted(kept, key=str) == sorted(taken, key=str)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_correction_that_the_disk_has_no_room_for_is_not_there(
    start: Start, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start(stand_ins.quick)
    job = wait(client, submit(client, clip))
    address = f"/v1/jobs/{job['id']}"
    with monkeypatch.context() as patched:
        patched.setattr("isomer.serve.jobs.JobStore.save", stand_ins.filling)
        response = client.post(f"{address}/corrections", json={"frame": 1, "add": [[0.5, 0.5]]})
    assert (response.status_code, "storage is full" in response.json()["detail"]) == (507, True)
    assert client.get(address).json()["corrections"] == []

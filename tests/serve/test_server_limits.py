"""What is refused, bounded or reported, and that nothing of it harms the server."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
import pytest
import stand_ins
from serving import (
    JobQueue,
    Start,
    TestClient,
    create_app,
    encode,
    listening,
    moving_square,
    served,
    submit,
    wait,
)
from starlette.types import Receive, Scope, Send

from isomer.errors import InputError
from isomer.media import Frame
from isomer.media.image import encode_image
from isomer.options import VideoOptions, options_of
from isomer.serve import connection, server, tasks
from isomer.serve.jobs import Job, JobStore
from isomer.serve.lane import Lane
from isomer.serve.options import Limits
from isomer.serve.worker import WorkerDiedError

UPLOAD = {"frames": ("a.png", b"\x89PNG\r\n\x1a\n")}


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size, with next to no data: what decodes it makes room for all of it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(10_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jobs_in(folder: Path) -> list[str]:
    return [entry.name for entry in (folder / "jobs").iterdir() if entry.is_dir()]


@pytest.mark.parametrize(
    ("files", "status", "reason"),
    [
        ({"video": b"just text"}, 422, "not a video"),
        ({"video": b""}, 422, "not a video"),
        ({"video": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"}, 422, "not a video"),
        ({"video": b"ffconcat version 1.0\nfile /etc/passwd\n"}, 422, "not a video"),
        (
            {"video": b"<?xml version='1.0'?><MPD><BaseURL>http://10.0.0.1/</BaseURL></MPD>"},
            422,
            "not a video",
        ),
        ({"video": png_header(64, 64)}, 422, "not a video"),
        ({"frames": b"GIF89a and so on"}, 422, "neither PNG nor JPEG"),
        ({"frames": b""}, 422, "empty"),
        ({"frames": png_header(100_000, 100_000)}, 422, "pixels"),
        ({"other": b"x"}, 422, "another field"),
        ([("video", b"x"), ("video", b"y")], 422, "another field"),
        ([("video", b"x"), ("frames", png_header(64, 64))], 422, "another field"),
        ([("frames", png_header(64, 64)), ("frames", png_header(64, 65))], 422, "64x65"),
    ],
)
def test_bad_uploads_are_refused(start: Start, tmp_path: Path, files: Any, status: int, reason: str) -> None:
    client = start(stand_ins.quick)
    response = client.post("/v1/jobs", files=files)
    assert response.status_code == status
    assert reason in response.json()["detail"]
    assert str(tmp_path) not in response.text
    assert jobs_in(tmp_path) == []


def test_broken_forms_are_refused(start: Start, tmp_path: Path, clip: Path) -> None:
    client = start(stand_ins.quick)
    boundary = {"content-type": "multipart/form-data; boundary=b"}
    part = b'--b\r\ncontent-disposition: form-data; name="video"; filename="v"\r\n\r\n' + clip.read_bytes()
    for content, headers, status in (
        (part, boundary, 400),  # no end
        (b"nonsense", boundary, 400),
        (b"--b--\r\n", boundary, 422),
        (clip.read_bytes(), {"content-type": "video/mp4"}, 415),
        (clip.read_bytes(), {"content-type": "multipart/form-data"}, 415),
        (part, {**boundary, "content-length": "many"}, 400),
    ):
        response = client.post("/v1/jobs", content=content, headers=headers)
        assert (response.status_code, content[:20]) == (status, content[:20])
    assert jobs_in(tmp_path) == []


def test_frames_and_pixels_are_limited(start: Start, tmp_path: Path, clip: Path) -> None:
    few = start(stand_ins.quick, frames=9)
    response = few.post("/v1/jobs", files={"video": clip.read_bytes()})
    assert (response.status_code, response.json()["detail"]) == (
        422,
        "video: 10 frames; the server takes 9 (its limit --frames), give a shorter one",
    )
    frames = [("frames", encode_image(image)) for image in moving_square(10)]
    assert few.post("/v1/jobs", files=frames).status_code == 422
    assert few.post("/v1/jobs", files=frames[:9]).status_code == 202
    small = start(stand_ins.quick, folder=tmp_path / "small", pixels=96 * 64 - 1)
    response = small.post("/v1/jobs", files={"video": clip.read_bytes()})
    assert (response.status_code, "pixels" in response.text) == (422, True)


def test_a_video_that_cannot_be_decoded_is_refused_with_the_reason(start: Start, clip: Path) -> None:
    client = start(stand_ins.quick)
    for codec, said in (b"encv", "video: is encrypted"), (b"xyz1", "video: its codec"):
        response = client.post("/v1/jobs", files={"video": clip.read_bytes().replace(b"avc1", codec)})
        assert (response.status_code, said in response.text) == (422, True)


def test_a_header_that_lies_about_the_size_is_refused(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "lying.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(640, 480, "yuvj420p")))
        container.mux(stream.encode(None))
    true, stated = struct.pack("<II", 640, 480), struct.pack("<II", 64, 48)
    assert path.read_bytes().count(true) == 2
    path.write_bytes(path.read_bytes().replace(true, stated))
    client = start(stand_ins.quick, pixels=100_000)
    response = client.post("/v1/jobs", files={"video": path.read_bytes()})
    assert (response.status_code, "pixels" in response.text) == (422, True)


@pytest.mark.parametrize("size", [(128, 64), (1920, 1088)])
def test_frames_that_grow_midway_are_refused(start: Start, tmp_path: Path, size: tuple[int, int]) -> None:
    parts = [encode(tmp_path / "small.ts"), encode(tmp_path / "large.ts", size=size)]
    grows = tmp_path / "grows.ts"
    grows.write_bytes(b"".join(part.read_bytes() for part in parts))
    client = start(pixels=96 * 64)
    job = wait(client, submit(client, grows))
    assert (job["state"], job["error"]) == (
        "failed",
        "video: a picture of more than 6144 pixels; make the video smaller",
    )


def test_a_container_that_lies_about_its_length_is_stopped(tmp_path: Path, clip: Path) -> None:
    class Lying:
        path, size, fps, count = tmp_path / "video", (96, 64), 25, 3

        def __iter__(self) -> Iterator[Frame]:
            image = np.zeros((64, 96, 3), np.uint8)
            for index in range(10**9):
                yield Frame(index, image, index / 25, f"{index:05d}")

    with pytest.raises(InputError, match="more than 5 frames"):
        for _ in tasks._Bounded(Lying(), 5):  # type: ignore[arg-type]
            pass


def test_large_uploads_are_refused(start: Start, tmp_path: Path) -> None:
    client = start(stand_ins.quick, upload_mib=1)
    refused = client.post("/v1/jobs", files={"video": bytes(2**20)})
    assert (refused.status_code, "--upload-mib" in refused.json()["detail"]) == (413, True)

    def unannounced() -> Iterator[bytes]:
        yield b'--b\r\ncontent-disposition: form-data; name="video"\r\n\r\n'
        for _ in range(17):
            yield bytes(2**16)

    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert client.post("/v1/jobs", content=unannounced(), headers=headers).status_code == 413
    assert jobs_in(tmp_path) == []


@pytest.mark.parametrize(("query", "said"), [({}, "quality default, size 64"), ({"quality": "best"}, "quality best")])
def test_a_job_has_the_quality_that_is_asked_for(start: Start, clip: Path, query: dict[str, str], said: str) -> None:
    client = start(stand_ins.telling)
    with clip.open("rb") as content:
        job = client.post("/v1/jobs", params=query, files={"video": content}).json()
    assert job["quality"] == query.get("quality", "default")
    assert wait(client, job)["error"].startswith(said)


def test_another_quality_is_refused(start: Start, clip: Path, tmp_path: Path) -> None:
    client = start(stand_ins.quick)
    with clip.open("rb") as content:
        response = client.post("/v1/jobs", params={"quality": "perfect"}, files={"video": content})
    assert response.status_code == 422
    assert "quality=perfect" in response.json()["detail"]
    assert jobs_in(tmp_path) == []


def test_a_slow_upload_is_ended_and_leaves_its_place(tmp_path: Path, clip: Path) -> None:
    queue = JobQueue(tmp_path / "jobs", Limits(queue=1, upload_seconds=1), VideoOptions(), stand_ins.quick)
    with (
        listening(queue) as address,
        socket.create_connection((urlsplit(address).hostname, urlsplit(address).port)) as slow,
    ):
        slow.settimeout(20)
        slow.sendall(
            b"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n"
            b"content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        )
        began = time.monotonic()
        assert slow.recv(64).startswith(b"HTTP/1.1 408 ")
        assert 0.9 < time.monotonic() - began < 10
    assert jobs_in(tmp_path) == []
    assert queue._uploads == 0


def test_idle_connections_give_their_places_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        size = 2**26 if scope["path"] == "/large" else 0
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": bytes(size)})

    def status(address: tuple[str, int]) -> bytes:
        with socket.create_connection(address, timeout=20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            return client.recv(64).split(b" ")[1]

    for name in ("_TICK_SECONDS", "_HEAD_SECONDS", "_UNREAD_SECONDS"):
        monkeypatch.setattr(connection, name, 0.2)
    request = b"GET %s HTTP/1.1\r\nhost: localhost\r\n"
    for said in (
        b"",  # nothing at all
        b"GET",
        request % b"/",  # a head without its end
        request % b"/" + b"\r\n" + request % b"/",  # likewise, after an answer
        request % b"/" + b"content-length: 9\r\n\r\n",  # a body that no one asked for and that never comes
        request % b"/large" + b"\r\n",  # an answer that is not read
    ):
        with served(large, connections=5) as address, ExitStack() as stack:
            idle = [stack.enter_context(socket.create_connection(address)) for _ in range(5)]
            if said:
                for client in idle:
                    client.sendall(said)
            deadline = time.monotonic() + 4.5  # uvicorn itself gives up after 5 s, and only after an answer
            while status(address) != b"200":
                assert time.monotonic() < deadline, said
                time.sleep(0.05)


def test_an_answer_that_takes_its_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4194304")]})
        await send({"type": "http.response.body", "body": bytes(2**22)})

    for name in ("_TICK_SECONDS", "_HEAD_SECONDS", "_UNREAD_SECONDS"):
        monkeypatch.setattr(connection, name, 0.2)
    with served(slow) as address, socket.create_connection(address, timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        received = 0
        while chunk := client.recv(2**16):
            received += len(chunk)
    assert received > 2**22


def test_a_full_queue_says_so(start: Start, clip: Path) -> None:
    client = start(stand_ins.endless, queue=2)
    running = submit(client, clip)
    wait(client, running, "running")
    first, second = submit(client, clip), submit(client, clip)
    assert [client.get(f"/v1/jobs/{job['id']}").json()["position"] for job in (first, second)] == [1, 2]
    response = client.post("/v1/jobs", files={"video": clip.read_bytes()})
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0
    assert client.delete(f"/v1/jobs/{first['id']}").status_code == 204
    assert client.get(f"/v1/jobs/{second['id']}").json()["position"] == 1
    submit(client, clip)


def test_a_running_job_can_be_stopped(start: Start, tmp_path: Path, clip: Path) -> None:
    client = start(stand_ins.endless)
    stopped, following = submit(client, clip), submit(client, clip)
    wait(client, stopped, "running")
    assert client.get(f"/v1/jobs/{stopped['id']}/results/mask").status_code == 409
    assert client.delete(f"/v1/jobs/{stopped['id']}").status_code == 204
    wait(client, following, "running")
    assert jobs_in(tmp_path) == [following["id"]]


def test_storage_is_limited(start: Start, clip: Path) -> None:
    client = start(stand_ins.quick, upload_mib=1, storage_mib=1)
    wait(client, submit(client, clip))  # there is room for one upload of the largest size, but not for two
    assert client.post("/v1/jobs", files={"video": clip.read_bytes()}).status_code == 507


def test_results_asked_for_together_stay_within_the_storage(start: Start, tmp_path: Path, clip: Path) -> None:
    client = start(stand_ins.noisy, upload_mib=1, storage_mib=1)
    job = wait(client, submit(client, clip))
    results = f"/v1/jobs/{job['id']}/results/cutouts?threshold=0."

    def fetch(threshold: int) -> tuple[int, int]:
        response = client.get(f"{results}{threshold}")
        return response.status_code, len(response.content)

    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(fetch, range(1, 10)))
    sizes = [size for status, size in answers if status == 200]
    assert sizes
    assert [status for status, _ in answers if status != 200] == [507] * (9 - len(sizes))
    assert 2**20 - 2 * max(sizes) < sum(file.stat().st_size for file in tmp_path.glob("jobs/*/**/*")) <= 2**20


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_said(start: Start, tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start(stand_ins.quick)
    job = wait(client, submit(client, clip))

    async def writing(*_: object) -> str:
        Path("/dev/full").write_bytes(b"x")
        raise AssertionError

    full = {"detail": "the storage is full; try again when old jobs have expired"}
    for name, stand_in in (("app.receive", writing), ("jobs.JobStore.save", stand_ins.filling)):
        with monkeypatch.context() as patched:
            patched.setattr(f"isomer.serve.{name}", stand_in)
            response = client.post("/v1/jobs", files={"video": clip.read_bytes()})
        assert (response.status_code, response.json()) == (507, full)
        assert jobs_in(tmp_path) == [job["id"]]
    monkeypatch.setattr(tasks, "write_result", stand_ins.filling)
    response = client.get(f"/v1/jobs/{job['id']}/results/masks")
    assert (response.status_code, response.json()) == (507, full)
    failing = start(stand_ins.filling, folder=tmp_path / "other")
    failed = wait(failing, submit(failing, clip))
    assert (failed["state"], failed["error"]) == ("failed", full["detail"])


def test_a_crash_costs_one_job(start: Start, clip: Path) -> None:
    client = start(stand_ins.dying_at_first)
    died = wait(client, submit(client, clip))
    assert died["state"] == "failed"
    assert "died (exit code 9)" in died["error"]
    assert wait(client, submit(client, clip))["state"] == "done"
    assert client.get("/health").json() == {"status": "ok"}


def test_an_error_of_ours_is_not_shown(start: Start, clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = start(stand_ins.faulty)
    job = wait(client, submit(client, clip))
    assert (job["state"], "secret" in job["error"]) == ("failed", False)
    assert "a secret of the server" in caplog.text


def test_a_job_takes_only_so_long(start: Start, clip: Path) -> None:
    client = start(stand_ins.endless, job_seconds=1)
    job = wait(client, submit(client, clip))
    assert job["state"] == "failed"
    assert job["error"] == "took longer than 1 s (the server's limit --job-seconds); give a shorter or smaller video"


def test_jobs_expire(start: Start, tmp_path: Path, clip: Path) -> None:
    client = start(stand_ins.quick, retention_seconds=1)
    job = wait(client, submit(client, clip))
    assert job["expires"] == pytest.approx(job["finished"] + 1)
    deadline = time.monotonic() + 10
    while client.get(f"/v1/jobs/{job['id']}").status_code != 404 or jobs_in(tmp_path):  # its files go a moment later
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_jobs_survive_a_restart(start: Start, tmp_path: Path, clip: Path) -> None:
    client = start(stand_ins.endless)
    running, queued = submit(client, clip), submit(client, clip)
    wait(client, running, "running")
    client.__exit__(None, None, None)
    again = start(stand_ins.quick)
    for job in (running, queued):
        finished = wait(again, job)
        assert (finished["state"], finished["attempts"]) == ("done", 1)
    assert not (tmp_path / "jobs" / running["id"] / "half-done").exists()


def test_jobs_survive_a_crash_once(start: Start, tmp_path: Path, clip: Path) -> None:
    client = start(stand_ins.endless)
    job = submit(client, clip)
    wait(client, job, "running")
    upload = tmp_path / "jobs" / ("u" * 22)  # an upload that never ended
    upload.mkdir()
    # What lies on the disk at this moment is what a crash would leave.
    for attempt, state in ((1, "done"), (2, "lost")):
        folder = tmp_path / f"after-{attempt}"
        shutil.copytree(tmp_path / "jobs", folder)
        record = folder / job["id"] / "job.json"
        said = json.loads(record.read_text())
        assert (said["state"], said["attempts"]) == ("running", 1)
        record.write_text(json.dumps({**said, "attempts": attempt}))
        after = wait(start(stand_ins.quick, folder=folder), job)
        assert after["state"] == state
        assert (after["error"] is None) == (state == "done")
        assert not (folder / job["id"] / "half-done").exists()
        assert not (folder / upload.name).exists()


def test_one_server_a_folder(tmp_path: Path) -> None:
    first = JobStore(tmp_path)
    with pytest.raises(InputError, match="another server"):
        JobStore(tmp_path)
    first.close()
    JobStore(tmp_path).close()


def test_a_token_is_asked_for(start: Start, clip: Path) -> None:
    client = start(stand_ins.quick, token="sesame")
    for headers in ({}, {"authorization": "Bearer other"}, {"authorization": "Basic sesame"}):
        assert client.post("/v1/jobs", files=UPLOAD, headers=headers).status_code == 401
        assert client.get("/v1/jobs/x", headers=headers).status_code == 401
        assert client.get("/metrics", headers=headers).status_code == 401
        assert client.get("/openapi.json", headers=headers).status_code == 401
    assert client.get("/health").status_code == 200
    assert client.get("/").status_code == 200
    for scheme in ("bearer", "BEARER", "Bearer "):
        assert client.get("/metrics", headers={"authorization": f"{scheme} sesame"}).status_code == 200
    client.headers["authorization"] = "Bearer sesame"
    assert wait(client, submit(client, clip))["state"] == "done"


def test_pages_from_elsewhere_are_refused(start: Start) -> None:
    client = start(stand_ins.quick)
    for headers, status in (
        ({"origin": "http://localhost"}, 404),
        ({"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}, 404),
        ({"host": "[::1]:8000"}, 404),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:3000"}, 403),
        ({"host": "evil.example"}, 403),
        ({"host": "[::1"}, 403),
        ({"host": "[::g]:8000"}, 403),
        ({"host": ""}, 403),
        ({"origin": "http://[::1"}, 403),
    ):
        assert (client.get("/v1/jobs/x", headers=headers).status_code, headers) == (status, headers)


def test_paths_of_clients_reach_no_file(start: Start, tmp_path: Path, clip: Path) -> None:
    client = start(stand_ins.quick)
    job = wait(client, submit(client, clip))
    secret = tmp_path / "jobs" / job["id"] / "job.json"
    assert secret.exists()
    for path in (
        f"/v1/jobs/{job['id']}%2Fjob.json",
        f"/v1/jobs/{job['id']}/results/..%2F..%2Fjob.json",
        f"/v1/jobs/..%2F{job['id']}",
        "/..%2Fapp.py",
        "/%2e%2e/app.py",
        "/..%5Capp.py",
    ):
        assert client.get(path).status_code in (404, 422)


def test_the_page_loads_nothing_from_elsewhere(start: Start) -> None:
    client = start(stand_ins.quick)
    page = client.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for name in ("", "page.css", "page.js", "adjust.js", "blend.js", "marks.js", "icon.svg"):
        text = client.get(f"/{name}").text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text
        assert "https:" not in text


def test_metrics_count(start: Start, clip: Path) -> None:
    client = start(stand_ins.quick)
    wait(client, submit(client, clip))
    client.get("/v1/jobs/unknown")
    text = client.get("/metrics").text
    for line in (
        'isomer_jobs_total{state="done"} 1.0',
        "isomer_frames_total 3.0",
        f"isomer_upload_bytes_total {clip.stat().st_size:.1f}",
        "isomer_jobs_queued 0.0",
        "isomer_job_running_seconds_count 1.0",
        'isomer_http_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"} 1.0',
    ):
        assert line in text.splitlines()


def test_methods_that_clients_make_up_are_counted_together(start: Start) -> None:
    client = start(stand_ins.quick)
    for method in ("GET", "PATCH", "MADE-UP", "A1", "A2"):
        client.request(method, "/v1/jobs")
    counted = re.findall(r'isomer_http_requests_total\{method="(.*?)",.*\} (.*)', client.get("/metrics").text)
    assert sorted(counted) == [("GET", "1.0"), ("PATCH", "1.0"), ("other", "3.0")]


def test_the_api_is_described(start: Start) -> None:
    described = start(stand_ins.quick).get("/openapi.json").json()
    assert {"/v1/jobs", "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/results/{kind}"} <= described["paths"].keys()
    for path in described["paths"].values():
        for operation in path.values():
            assert operation["description"]
    assert "429" in described["paths"]["/v1/jobs"]["post"]["responses"]


def test_errors_are_a_detail_as_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = JobQueue(tmp_path / "jobs", Limits(), VideoOptions())
    with TestClient(create_app(queue), base_url="http://localhost", raise_server_exceptions=False) as client:
        described = client.get("/openapi.json").json()
        monkeypatch.setattr(queue, "get", lambda identifier: 1 / 0)
        assert client.get("/v1/jobs/x").status_code == 500
        for method, path in (
            ("GET", "/v1/jobs/x"),
            ("GET", "/v1/jobs/x/results/nothing"),
            ("GET", "/v1/jobs/x/results/masks?threshold=2"),
            ("PUT", "/v1/jobs"),
            ("POST", "/v1/jobs"),
            ("GET", "/nothing"),
        ):
            response = client.request(method, path)
            assert response.status_code >= 400
            detail = response.json().pop("detail")
            assert (isinstance(detail, str), response.json().keys()) == (True, {"detail"})
    assert "HTTPValidationError" not in described["components"]["schemas"]
    del described["paths"]["/health"]  # says its status in any case
    for operations in described["paths"].values():
        for operation in operations.values():
            refusals = {code: answer for code, answer in operation["responses"].items() if not code.startswith("2")}
            assert "default" in refusals
            for answer in refusals.values():
                assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Refusal"}


def test_parameters_of_results_are_the_options(tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "jobs", Limits(), VideoOptions(threshold=0.3, objects=True))
    with TestClient(create_app(queue), base_url="http://localhost") as client:
        path = client.get("/openapi.json").json()["paths"]["/v1/jobs/{job_id}/results/{kind}"]
    known = options_of(VideoOptions)
    found = {parameter["name"]: parameter for parameter in path["get"]["parameters"]}
    threshold = found["threshold"]["schema"]
    assert (threshold["exclusiveMinimum"], threshold["exclusiveMaximum"]) == (0, 1)
    assert (threshold["multipleOf"], threshold["default"]) == (0.01, 0.3)
    assert found["objects"]["schema"]["default"] is True
    for name in ("threshold", "objects"):
        assert found[name]["description"] == known[name].help


@pytest.mark.parametrize("query", ["threshold=0", "threshold=1", "threshold=0.612", "threshold=x", "objects=some"])
def test_a_bad_parameter_gets_one_line(query: str, start: Start, clip: Path) -> None:
    client = start(stand_ins.quick)
    job = wait(client, submit(client, clip))
    refused = client.get(f"/v1/jobs/{job['id']}/results/masks?{query}")
    assert refused.status_code == 422
    assert refused.json()["detail"].startswith(f"{query}: Input should be")


def test_requests_and_jobs_are_logged_by_the_jobs_id(
    start: Start, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "isomer")
    client = start(stand_ins.quick)
    job = wait(client, submit(client, clip))
    client.get("/v1/jobs/none")
    states = [line.split() for line in caplog.messages if line.startswith(f"job id={job['id']} ")]
    assert [state for _, _, state, *_ in states] == ["state=queued", "state=running", "state=done"]
    requests = [re.sub(r"ms=\d+", "ms=N", line) for line in caplog.messages if line.startswith("request ")]
    assert requests == [  # without those that only looked how the job stood
        "request client=testclient method=POST path=/v1/jobs status=202 ms=N",
        "request client=testclient method=GET path=/v1/jobs/none status=404 ms=N",
    ]


def test_an_error_is_logged_as_one_line_with_the_job(
    start: Start, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = start(stand_ins.faulty)
    job = wait(client, submit(client, clip))
    (line,) = (record.getMessage() for record in caplog.records if record.levelno == logging.ERROR)
    assert line.startswith(f'job id={job["id"]} error="Traceback')
    assert "ZeroDivisionError: a secret of the server" in json.loads(line.partition("error=")[2])
    assert "\n" not in line


def test_what_keeps_a_server_from_starting_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = {"limits": Limits(), "options": VideoOptions(model="no_such_model"), "port": 0}
    with pytest.raises(InputError, match="no_such_model"):
        server.serve(tmp_path / "jobs", **start)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="choose another"):
        server.serve(tmp_path / "jobs", **{**start, "port": taken.getsockname()[1]})
    monkeypatch.setattr("isomer.errors.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "\.\[serve\]"'):
        server.serve(tmp_path / "jobs", **start)


def test_a_worker_that_dies_at_loading_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "load", stand_ins.dying_at_load)
    with pytest.raises(InputError, match="could not be loaded"):
        server.serve(tmp_path / "jobs", limits=Limits(), options=VideoOptions(), port=0)


def test_a_lane_is_killed_for_the_job_it_runs_alone(tmp_path: Path) -> None:
    async def scenario() -> str:
        lane, job = Lane({}), Job()
        running = asyncio.create_task(lane.run(job, stand_ins.brief, seconds=60))
        await asyncio.sleep(0.1)
        lane.kill(Job())  # of another job, which has left the lane
        result = await running
        running = asyncio.create_task(lane.run(job, stand_ins.brief, seconds=60))
        await asyncio.sleep(0.1)
        lane.kill(job)
        with pytest.raises(WorkerDiedError):
            await running
        lane.close()
        return str(result)

    assert asyncio.run(scenario()) == "done"


def test_a_job_is_removed_twice_without_harm(tmp_path: Path) -> None:
    async def scenario() -> None:
        queue = JobQueue(tmp_path, Limits(), VideoOptions())
        await queue.remove("gone")
        await queue.stop()

    asyncio.run(scenario())


def test_an_abandoned_result_is_still_written(tmp_path: Path) -> None:
    """Two wait for one file; that one of them goes must not take it from the other."""

    async def scenario() -> bool:
        queue = JobQueue(tmp_path, Limits(), VideoOptions())
        written = asyncio.Event()
        starts = 0

        async def write() -> None:
            nonlocal starts
            starts += 1
            await asyncio.sleep(0.1)
            written.set()

        first = asyncio.create_task(queue.results.once(tmp_path / "file", write))
        second = asyncio.create_task(queue.results.once(tmp_path / "file", write))
        await asyncio.sleep(0.02)
        first.cancel()
        await second
        await queue.stop()
        return written.is_set() and starts == 1

    assert asyncio.run(scenario())

"""Clips, servers and what clients of theirs do."""

from __future__ import annotations

import io
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.segment.video import Summary

try:
    import uvicorn
    from fastapi.testclient import TestClient
    from starlette.types import ASGIApp

    from isomer.serve.app import create_app
    from isomer.serve.connection import configured
    from isomer.serve.queue import JobQueue
except (ImportError, RuntimeError) as error:  # the test client raises the latter
    pytest.skip(f"the extra `serve` is not installed: {error}", allow_module_level=True)

Start = Callable[..., TestClient]


def moving_square(count: int = 10, size: tuple[int, int] = (96, 64)) -> list[NDArray[np.uint8]]:
    """A bright square that crosses dim noise."""
    width, height = size
    noise = np.random.default_rng(0).integers(40, 90, (height, width, 3), np.uint8)
    images = []
    for index in range(count):
        image = noise.copy()
        left = 8 + 4 * (index % 16)
        image[20:44, left : left + 24] = (220, 180, 60)
        images.append(image)
    return images


def two_squares(count: int) -> list[NDArray[np.uint8]]:
    """An orange square on the left that goes to the right, and a blue one on the right that goes down: 192 x 128."""
    images = []
    for index, image in enumerate(moving_square(count, (192, 128))):
        image[20:44] = image[84:108]
        left, top = 16 + 2 * index, 24 + 2 * index
        image[40:80, left : left + 40] = (220, 180, 60)
        image[top : top + 32, 136:168] = (60, 90, 230)
        images.append(image)
    return images


def encode(path: Path, fps: int = 25, count: int = 10, size: tuple[int, int] = (96, 64), aspect: str = "1/1") -> Path:
    """Encode the moving square."""
    return encode_images(path, moving_square(count, size), fps, aspect)


def encode_images(path: Path, images: list[NDArray[np.uint8]], fps: int = 25, aspect: str = "1/1") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "aspect": aspect})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode(None))
    return path


@contextmanager
def served(app: ASGIApp, connections: int = 128) -> Iterator[tuple[str, int]]:
    """Serve an application on a real socket, for what a test client does not do; yields host and port."""
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(configured(app, connections))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        yield bound.getsockname()
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def listening(queue: JobQueue, token: str | None = None) -> Iterator[str]:
    """Serve a queue on a real socket; yields the address."""
    with served(create_app(queue, token=token)) as (host, port):
        yield f"http://{host}:{port}"


def submit(client: TestClient, video: Path) -> dict[str, Any]:
    with video.open("rb") as content:
        response = client.post("/v1/jobs", files={"video": (video.name, content)})
    assert response.status_code == 202, response.text
    return response.json()


def wait(client: TestClient, job: dict[str, Any], state: str = "final", seconds: float = 180) -> dict[str, Any]:
    """Poll until a job is in a state."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = client.get(f"/v1/jobs/{job['id']}").json()
        if job["state"] == state or (state == "final" and job["state"] in ("done", "failed", "lost")):
            return job
        time.sleep(0.05)
    raise AssertionError(f"not {state}: {job}")


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def gray(data: bytes) -> NDArray[np.uint8]:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def decoded(data: bytes, pixel_format: str = "rgb24") -> list[NDArray[np.uint8]]:
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray(format=pixel_format) for frame in container.decode(video=0)]


def as_files(summary: Summary) -> dict[str, bytes]:
    (folder,) = summary.outputs
    return {file.name: file.read_bytes() for file in folder.iterdir()}

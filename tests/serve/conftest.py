from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from isomer.options import VideoOptions
from isomer.serve.options import Limits
from isomer.serve.tasks import segment

if TYPE_CHECKING:
    from serving import Start, TestClient


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from serving import encode

    return encode(tmp_path_factory.mktemp("clip") / "square.mp4")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers; every one stops at the test's end."""
    from serving import JobQueue, TestClient, create_app

    clients: list[TestClient] = []

    def started(
        segment: Callable[..., Any] = segment,
        *,
        folder: Path = tmp_path / "jobs",
        token: str | None = None,
        **limits: int,
    ) -> TestClient:
        queue = JobQueue(folder, Limits(**limits), VideoOptions(size=64), segment)
        client = TestClient(create_app(queue, token=token), base_url="http://localhost")
        clients.append(client)
        return client.__enter__()

    yield started
    for client in clients:
        client.__exit__(None, None, None)

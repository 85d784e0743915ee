"""The server behind a reverse proxy: under a path, and told by the proxy who asks."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
import stand_ins
from serving import JobQueue, create_app, served

from isomer.errors import ArgumentError
from isomer.options import VideoOptions
from isomer.serve import server
from isomer.serve.options import Limits
from isomer.serve.proxy import networks

LOOPBACK = ("127.0.0.0/8",)


@contextmanager
def forwarding(to: tuple[str, int], taken_off: bytes, added: bytes) -> Iterator[str]:
    """A reverse proxy: one request a connection, with a prefix taken off its path and lines added to its head."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(2**16):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(*to)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        head = [first.replace(b" " + taken_off, b" ", 1), *lines[:-2], b"connection: close"]
        inner_writer.write(b"\r\n".join(head) + b"\r\n" + added + b"\r\n")
        sending = asyncio.create_task(pipe(reader, inner_writer))
        await pipe(inner_reader, writer)
        sending.cancel()

    loop = asyncio.new_event_loop()
    proxy = loop.run_until_complete(asyncio.start_server(forward, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        host, port = proxy.sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        proxy.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path / "jobs", Limits(), VideoOptions(), stand_ins.quick)


def answer(url: str, data: bytes | None = None, **headers: str) -> tuple[int, str, dict[str, str]]:
    """Ask as a client does that follows no redirection."""
    _, _, address, path = url.split("/", 3)
    with closing(HTTPConnection(address)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET" if data is None else "POST", f"/{path}", data, named)
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.headers)


@pytest.mark.parametrize("taken_off", [b"/isomer", b""], ids=["taken off", "passed on"])
def test_all_works_under_a_path(taken_off: bytes, queue: JobQueue, clip: Path) -> None:
    app = create_app(queue, root_path="/isomer", proxies=networks(LOOPBACK))
    with served(app) as inner, forwarding(inner, taken_off, b"") as outer:
        page = f"{outer}/isomer/"
        _, text, _ = answer(page)
        named = re.findall(r'(?:href|src)="([^"#]+)"', text)
        assert {"page.css", "page.js", "icon.svg"} <= set(named)
        for name in named:
            assert answer(page + name)[0] == 200
        described = json.loads(answer(page + "openapi.json")[1])
        assert described["servers"] == [{"url": "/isomer"}]
        body = b'--b\r\ncontent-disposition: form-data; name="video"\r\n\r\n%s\r\n--b--\r\n' % clip.read_bytes()
        status, said, headers = answer(page + "v1/jobs", body, content_type="multipart/form-data; boundary=b")
        assert (status, headers["location"]) == (202, f"/isomer/v1/jobs/{json.loads(said)['id']}")
        _, events, headers = answer(f"{outer}{headers['location']}/events")
        assert (headers["x-accel-buffering"], '"state": "done"' in events) == ("no", True)


PUBLIC = b"x-forwarded-for: %s\r\nx-forwarded-proto: https\r\nx-forwarded-host: videos.example\r\n"


@pytest.mark.parametrize(
    ("proxies", "said", "client"),
    [
        ((), b"198.51.100.7", "127.0.0.1"),  # the proxy is not named
        (("10.0.0.5",), b"198.51.100.7", "127.0.0.1"),
        (LOOPBACK, b"198.51.100.7", "198.51.100.7"),
        (("::ffff:0:0/96", "127.0.0.1"), b"2001:db8::1", "2001:db8::1"),
        (LOOPBACK, b"6.6.6.6, 198.51.100.7, 127.0.0.9", "198.51.100.7"),  # the first is the client's own word
        (LOOPBACK, b"127.0.0.8, 127.0.0.9", "127.0.0.8"),
    ],
)
def test_a_named_proxy_says_who_asks(
    proxies: tuple[str, ...], said: bytes, client: str, queue: JobQueue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "isomer")
    app = create_app(queue, names=["videos.example"], proxies=networks(proxies))
    with served(app) as inner, forwarding(inner, b"", PUBLIC % said) as outer:
        assert answer(f"{outer}/v1/jobs/x")[0] == 404
    (line,) = (line for line in caplog.messages if line.startswith("request "))
    assert f"client={client} " in line


@pytest.mark.parametrize("named", [True, False])
def test_a_page_of_the_proxys_host_may_ask(named: bool, queue: JobQueue) -> None:
    app = create_app(queue, is_local=False, proxies=networks(LOOPBACK if named else ()))
    with served(app) as inner, forwarding(inner, b"", PUBLIC % b"198.51.100.7") as outer:
        assert answer(f"{outer}/v1/jobs/x", origin="https://videos.example")[0] == (404 if named else 403)
        assert answer(f"{outer}/v1/jobs/x", origin="https://evil.example")[0] == 403


def test_redirections_lead_to_the_proxy(queue: JobQueue) -> None:
    app = create_app(queue, root_path="/isomer", proxies=networks(LOOPBACK))
    with served(app) as inner, forwarding(inner, b"", PUBLIC % b"198.51.100.7") as outer:
        status, _, headers = answer(f"{outer}/isomer")
    assert (status // 100, headers["location"]) == (3, "https://videos.example/isomer/")


def test_a_forwarded_host_is_no_way_around_the_names(queue: JobQueue) -> None:
    app = create_app(queue, proxies=networks(LOOPBACK))
    with served(app) as inner, forwarding(inner, b"", PUBLIC % b"198.51.100.7") as outer:
        assert answer(f"{outer}/v1/jobs/x")[0] == 403


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("forwarded_allow_ips", ["proxy"]),
        ("forwarded_allow_ips", ["10.0.0.1/8"]),
        ("root_path", "isomer"),
        ("root_path", "/a b"),
        ("root_path", "https://videos.example/isomer"),
    ],
)
def test_what_cannot_be_meant_is_said_at_the_start(argument: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=argument):
        server.serve(tmp_path / "jobs", limits=Limits(), options=VideoOptions(), port=0, **{argument: value})
    assert not (tmp_path / "jobs").exists()

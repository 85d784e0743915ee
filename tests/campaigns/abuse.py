"""A server whose clients mean harm: it refuses, keeps its limits, and goes on serving those that do not."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mutation import mutated
from trial import MOST_MEMORY, Outcome, Verdict, orphans_of, processes_of

_TOKEN = "sesame"
_SECONDS = 120
_PATIENCE = 2  # with an answer to what may be no whole request
_HEAD = b"POST /v1/jobs HTTP/1.1\r\nhost: localhost\r\nauthorization: bearer sesame\r\n"
_FORM = b"content-type: multipart/form-data; boundary=b\r\n"
_PART = b'--b\r\ncontent-disposition: form-data; name="video"; filename="v.mp4"\r\n\r\n'


@dataclass(frozen=True)
class Server:
    """One that runs, and a good video."""

    port: int
    pid: int
    jobs: Path
    video: bytes

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=_SECONDS)

    def ask(self, request: bytes, patience: float = _SECONDS) -> tuple[int, bytes]:
        """Send bytes, whatever they are, and return the status and the body of the answer; 0 for none in time."""
        with self.connect() as connection:
            connection.settimeout(patience)
            received = b""
            with contextlib.suppress(ConnectionError, TimeoutError):
                connection.sendall(request)
            with contextlib.suppress(ConnectionError, TimeoutError):
                while chunk := connection.recv(2**16):
                    received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]) if head.startswith(b"HTTP/1.1 ") else 0, body

    def get(
        self, path: str, method: str = "GET", headers: bytes = b"authorization: Bearer sesame\r\n"
    ) -> tuple[int, bytes]:
        """Ask as a client does."""
        named = headers if b"host:" in headers else b"host: localhost\r\n" + headers
        return self.ask(f"{method} {path} HTTP/1.1\r\nconnection: close\r\n".encode() + named + b"\r\n")

    def submit(self, video: bytes) -> tuple[int, bytes]:
        """Submit a video."""
        body = _PART + video + b"\r\n--b--\r\n"
        length = b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        return self.ask(_HEAD + _FORM + length + body)


def idle(server: Server, random: np.random.Generator) -> str:
    """More connections than there are places, which say nothing, or half a head."""
    with contextlib.ExitStack() as stack:
        for number in range(40):
            connection = stack.enter_context(server.connect())
            with contextlib.suppress(ConnectionError):
                connection.sendall((b"", b"GET", b"GET / HTTP/1.1\r\nhost: x\r\n")[number % 3])
        deadline = time.monotonic() + 40
        while server.get("/health")[0] != 200:
            if time.monotonic() > deadline:
                return "idle connections keep their places"
            time.sleep(0.5)
    return ""


def slow(server: Server, random: np.random.Generator) -> str:
    """A body that comes a byte at a time, for longer than an upload may take."""
    with server.connect() as connection:
        connection.sendall(_HEAD + _FORM + b"content-length: 100000\r\n\r\n")
        connection.settimeout(0.2)
        for byte in _PART + bytes(200):
            with contextlib.suppress(TimeoutError):
                if (said := connection.recv(100)) or said == b"":
                    return "" if said.startswith(b"HTTP/1.1 408") else f"answered {said!r}"
            with contextlib.suppress(ConnectionError):
                connection.sendall(bytes([byte]))
    return "a slow upload goes on"


def methods(server: Server, random: np.random.Generator) -> str:
    """Methods that clients make up do not fill the metrics."""
    for _ in range(100):
        server.get("/v1/jobs", "".join(chr(65 + letter) for letter in random.integers(0, 26, 12)))
    _, text = server.get("/metrics")
    return "" if len(text) < 20_000 else f"{len(text)} bytes of metrics"


def forms(server: Server, random: np.random.Generator) -> str:
    """Broken forms."""
    good = _PART + server.video[:20_000] + b"\r\n--b--\r\n"
    for _ in range(15):
        body = mutated(good, random)
        length = (len(body), len(body) + 50, max(0, len(body) - 50), 10**12)[random.integers(4)]
        status, said = server.ask(_HEAD + _FORM + b"content-length: %d\r\n\r\n" % length + body, _PATIENCE)
        if status not in (0, 202, 400, 408, 413, 415, 422, 429, 507) or (status > 202 and not _is_detail(said)):
            return f"{status} {said[:200]!r}"
    return ""


def requests(server: Server, random: np.random.Generator) -> str:
    """Broken requests."""
    query = b"GET /v1/jobs/x/results/masks?threshold=0.5 HTTP/1.1\r\n"
    good = query + b"host: localhost\r\nauthorization: Bearer sesame\r\n\r\n"
    for _ in range(60):
        status, said = server.ask(mutated(good, random), _PATIENCE)
        if status >= 500:
            return f"{status} {said[:200]!r}"
    return ""


def oversized(server: Server, random: np.random.Generator) -> str:
    """Uploads beyond the limit, announced and not."""
    status, said = server.ask(_HEAD + _FORM + b"content-length: 99999999\r\n\r\n", _PATIENCE)
    if status != 413 or b"upload_mib" not in said:
        return f"{status} {said!r}"
    body = b"".join(b"%x\r\n%s\r\n" % (2**16, bytes(2**16)) for _ in range(40))
    status, said = server.ask(_HEAD + _FORM + b"transfer-encoding: chunked\r\n\r\n" + body, _PATIENCE)
    return "" if status in (0, 400, 413) else f"{status} {said!r}"


def tokens(server: Server, random: np.random.Generator) -> str:
    """Tokens that are not the one, hosts and origins of others."""
    for path in ("/v1/jobs/x", "/metrics", "/openapi.json", "/example.mp4"):
        for sent in (
            b"",
            b"authorization: Bearer\r\n",
            b"authorization: Bearer \xff\r\n",
            b"authorization: Basic sesame\r\n",
        ):
            if server.get(path, headers=sent)[0] != 401:
                return f"{path} with {sent!r}"
    for sent in (b"host: [::1\r\n", b"host: evil.example\r\n", b"host: localhost\r\norigin: https://evil.example\r\n"):
        status, _ = server.get("/metrics", headers=sent + b"authorization: bearer sesame\r\n")
        if status not in (400, 403):
            return f"{status} for {sent!r}"
    return "" if server.get("/metrics", headers=b"authorization: bEARER sesame\r\n")[0] == 200 else "the token"


def values(server: Server, random: np.random.Generator) -> str:
    """Bad values of parameters get one detail."""
    for path in (
        "?threshold=0.612",
        "?threshold=nan",
        "?threshold=1e999",
        "?objects=x",
        "?threshold=",
        "?threshold=0.5" * 50,
    ):
        status, said = server.get(f"/v1/jobs/x/results/masks{path}")
        if status not in (404, 422) or not _is_detail(said):
            return f"{path}: {status} {said!r}"
    return ""


def videos(server: Server, random: np.random.Generator) -> str:
    """Broken videos: each is refused or its job ends."""
    for _ in range(5):
        status, said = server.submit(mutated(server.video, random))
        if status not in (202, 422, 429):
            return f"{status} {said!r}"
        if status == 202 and (ended := _final(server, json.loads(said)["id"])) not in ("done", "failed"):
            return f"the job is {ended}"
    return ""


def quota(server: Server, random: np.random.Generator) -> str:
    """More results than the storage takes, asked for at the same time."""
    status, said = server.submit(server.video)
    if status != 202:
        return "" if status == 507 else f"{status} {said!r}"
    job = json.loads(said)["id"]
    if _final(server, job) != "done":
        return "the job is not done"
    codes = [server.get(f"/v1/jobs/{job}/results/prores?threshold=0.{n:02d}")[0] for n in range(10, 90, 4)]
    kept = sum(file.stat().st_size for file in server.jobs.rglob("*") if file.is_file())
    if not set(codes) <= {200, 507} or kept > 3.2 * 2**20:
        return f"{codes}, {kept} bytes"
    server.get(f"/v1/jobs/{job}", "DELETE")
    return ""


ABUSES: dict[str, Callable[[Server, np.random.Generator], str]] = {
    abuse.__name__: abuse for abuse in (idle, slow, methods, forms, requests, oversized, tokens, values, videos, quota)
}
CASES = [(name,) for name in ABUSES]


def server(folder: Path, samples: Path, random: np.random.Generator, abuse: str) -> Verdict:
    """Abuse a server, then use it as it is meant, then end it."""
    with _serving(folder, (samples / "clip.mp4").read_bytes()) as serving:
        said = ABUSES[abuse](serving, random)
        log = (folder / "log").read_text(errors="replace")
        if said:
            return Verdict(Outcome.wrong, said)
        if "Traceback" in log:
            return Verdict(Outcome.traceback, log[-2000:])
        if not Path(f"/proc/{serving.pid}").exists():
            return Verdict(Outcome.crash, log[-2000:])
        if (held := _most_memory(serving.pid)) > MOST_MEMORY:
            return Verdict(Outcome.memory, f"{held / 2**30:.1f} GB")
        time.sleep(1)
        status, answer = serving.submit(serving.video)
        if status != 202 or _final(serving, json.loads(answer)["id"]) != "done":
            return Verdict(Outcome.wrong, f"afterwards, a good video got {status} {answer!r}")
    orphans = orphans_of(serving.pid)
    return Verdict(Outcome.leftovers, f"processes {orphans}") if orphans else Verdict(Outcome.right)


@contextlib.contextmanager
def _serving(folder: Path, video: bytes) -> Iterator[Server]:
    limits = ("--upload-mib", "1", "--storage-mib", "3", "--connections", "32", "--upload-seconds", "8", "--queue", "4")
    command = [sys.executable, "-m", "isomer.cli.main", "serve", "--port", "0", "--size", "64", *limits]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--data", "jobs"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
            env=os.environ | {"ISOMER_TOKEN": _TOKEN},
        )
    try:
        assert process.stdout is not None
        port = re.search(r":(\d+) ", process.stdout.readline())
        assert port is not None, (folder / "log").read_text()
        yield Server(int(port[1]), process.pid, folder / "jobs", video)
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


def _final(server: Server, job: str) -> str:
    """Wait for the state that a job keeps."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        status, said = server.get(f"/v1/jobs/{job}")
        if status == 200 and (state := json.loads(said)["state"]) not in ("queued", "running"):
            return str(state)
        time.sleep(0.2)
    return "without end"


def _is_detail(said: bytes) -> bool:
    try:
        document = json.loads(said)
    except ValueError:
        return said.startswith((b"Invalid HTTP", b"Service Unavailable"))
    return document.keys() == {"detail"} and isinstance(document["detail"], str)


def _most_memory(session: int) -> int:
    """Return the most that a process of a session held, in bytes."""
    held = [0]
    for process in processes_of(session):
        with contextlib.suppress(OSError):
            held += [1024 * int(n) for n in re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())]
    return max(held)

"""Load test of `isomer serve`: N clients submit videos, wait for them and fetch the masks.

    python benchmarks/serve.py --clients 8 --jobs 3

starts a server of its own, with a queue shorter than the clients are many, so that some are refused
(429) and try again, as the API asks. Reports the throughput, the time from an accepted upload to the
finished job and to the fetched result, how long /health takes meanwhile, and how many jobs were lost:
accepted, but never done.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from isomer.data.synthetic.clip import SceneFrames, write_clip
from isomer.data.synthetic.drawn import draw_scene


@dataclass
class Tally:
    """What all clients saw together; seconds unless it is a count."""

    finished: list[float] = field(default_factory=list)
    fetched: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    refused: int = 0
    accepted: int = 0
    lost: int = 0
    frames: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        width, height = (int(side) for side in arguments.resolution.split("x"))
        write_clip(SceneFrames(draw_scene(np.random.default_rng(0), (width, height)), arguments.frames), clip, None)
        command = [
            sys.executable,
            "-m",
            "isomer.cli.main",
            "serve",
            "--port",
            "0",
            "--data",
            f"{folder}/jobs",
        ]
        command += ["--queue", str(arguments.queue), "--size", str(arguments.size)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[2]
            report(arguments, *load(arguments, address, clip.read_bytes()))
        finally:
            server.terminate()
            server.wait()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=3, help="a client submits, one after the other")
    parser.add_argument("--frames", type=int, default=24, help="of each video")
    parser.add_argument("--resolution", default="854x480")
    parser.add_argument("--queue", type=int, default=4)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    return parser.parse_args()


def load(arguments: argparse.Namespace, address: str, video: bytes) -> tuple[Tally, float]:
    tally, over = Tally(), threading.Event()
    clients = [
        threading.Thread(target=client, args=(address, video, arguments.jobs, tally)) for _ in range(arguments.clients)
    ]
    prober = threading.Thread(target=probe, args=(address, tally, over))
    began = time.perf_counter()
    for thread in (*clients, prober):
        thread.start()
    for thread in clients:
        thread.join()
    seconds = time.perf_counter() - began
    over.set()
    prober.join()
    return tally, seconds


def client(address: str, video: bytes, jobs: int, tally: Tally) -> None:
    for _ in range(jobs):
        job = submit(address, video, tally)
        accepted = time.perf_counter()
        while job["state"] in ("queued", "running"):
            time.sleep(0.2)
            job = json.loads(ask(f"{address}/v1/jobs/{job['id']}"))
        finished = time.perf_counter() - accepted
        masks = 0
        if job["state"] == "done":
            content = ask(f"{address}/v1/jobs/{job['id']}/results/masks")
            masks = len(zipfile.ZipFile(io.BytesIO(content)).namelist())
        with tally.lock:
            tally.finished.append(finished)
            tally.fetched.append(time.perf_counter() - accepted)
            tally.frames += masks
            tally.lost += masks == 0 or masks != job["frames_total"]


def submit(address: str, video: bytes, tally: Tally) -> dict[str, object]:
    boundary = secrets.token_hex(16)
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="video"; filename="clip.mp4"\r\n\r\n'
    request = urllib.request.Request(
        f"{address}/v1/jobs",
        data=head.encode() + video + f"\r\n--{boundary}--\r\n".encode(),
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    while True:
        try:
            job = json.loads(ask(request))
        except (urllib.error.HTTPError, ConnectionError, urllib.error.URLError) as error:
            # A refusal comes before the upload is read: the client may see the connection end instead.
            if isinstance(error, urllib.error.HTTPError) and error.code != 429:
                raise
            with tally.lock:
                tally.refused += 1
            time.sleep(1)
        else:
            with tally.lock:
                tally.accepted += 1
            return job


def probe(address: str, tally: Tally, over: threading.Event) -> None:
    while not over.wait(0.1):
        began = time.perf_counter()
        ask(f"{address}/health")
        tally.health.append(time.perf_counter() - began)


def ask(request: urllib.request.Request | str) -> bytes:
    with urllib.request.urlopen(request, timeout=600) as response:
        content: bytes = response.read()
    return content


def report(arguments: argparse.Namespace, tally: Tally, seconds: float) -> None:
    figures = {
        "clients": arguments.clients,
        "jobs accepted": tally.accepted,
        "jobs lost": tally.lost,
        "refused with 429, then tried again": tally.refused,
        "jobs a minute": round(60 * tally.accepted / seconds, 1),
        "frames a second": round(tally.frames / seconds, 2),
        "cores": os.cpu_count(),
    }
    for name, values in (
        ("finished after", tally.finished),
        ("fetched after", tally.fetched),
        ("/health took", tally.health),
    ):
        for percent in (50, 95):
            figures[f"{name}, p{percent}, s"] = round(float(np.percentile(values, percent)), 3)
    for name, figure in figures.items():
        print(f"{name:36} {figure}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

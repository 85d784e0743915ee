"""The goals of the whole path: frames a second with overlay and with masks only, first mask, peak memory.

    python benchmarks/path.py [--options size=256 views=2] [--backends openvino torch]

Each run is the `isomer` command in a process of its own, start to end, on a rendered 854x480 video.
The time to the first mask is that of a process that starts, segments the first frame and stops.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from isomer.cli._options import convert, flag
from isomer.options import Options, options_of

FIRST_MASK = """
import json, os, sys
from isomer.media import open_frames
from isomer.segment import Segmenter
next(Segmenter(**json.loads(sys.argv[2]))(open_frames(sys.argv[1])))
os._exit(0)  # it stops there: what is read ahead is not waited for
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="default: rendered")
    parser.add_argument("--frames", type=int, default=288, help="of the rendered video")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backends", nargs="+", default=["openvino", "torch"])
    parser.add_argument("--options", nargs="+", default=[], metavar="NAME=VALUE", help="of isomer.Segmenter")
    arguments = parser.parse_args()
    pairs = (pair.split("=", 1) for pair in arguments.options)
    options = {name: convert(value, options_of(Options)[name].kind) for name, value in pairs}

    with tempfile.TemporaryDirectory() as folder:
        video = arguments.video or rendered(Path(folder) / "clip.mp4", arguments.frames)
        frames, keys = _count(video, Options(**options).settled.key_interval)
        print(f"{frames} frames, {keys} of them key frames; {arguments.rounds} rounds, load {os.getloadavg()[0]:.2f}")
        print("| back end | what | median | all rounds | peak memory MB |")
        print("| --- | --- | --- | --- | --- |")
        times: dict[tuple[str, str], list[float]] = {}
        peaks: dict[tuple[str, str], float] = {}
        for round_ in range(arguments.rounds + 1):  # the first fills caches and does not count
            for backend in arguments.backends:
                for what, command in _commands(video, Path(folder), options | {"backend": backend}).items():
                    seconds, peak = measured(command)
                    if round_:
                        times.setdefault((backend, what), []).append(seconds)
                        peaks[backend, what] = max(peaks.get((backend, what), 0), peak)
        for (backend, what), seconds in times.items():
            if what == "first mask":
                _row(backend, "first mask, s", seconds, peaks[backend, what])
            else:  # all included: Python's start, loading, the first frame
                _row(backend, f"{what}, frames/s", [frames / s for s in seconds], peaks[backend, what])


def _commands(video: Path, folder: Path, options: dict[str, object]) -> dict[str, list[str]]:
    return {
        "first mask": [sys.executable, "-c", FIRST_MASK, str(video), json.dumps(options)],
        "overlay": segment(video, folder / "overlay.mp4", options),
        "masks": segment(video, folder / "mask.mp4", options | {"outputs": "mask"}),
    }


def segment(video: Path, out: Path, options: dict[str, object]) -> list[str]:
    """Return the `isomer` command that segments a video."""
    given = [word for name, value in options.items() for word in (flag(name), str(value))]
    return [sys.executable, "-m", "isomer.cli.main", "segment", str(video), "-q", "-o", str(out), *given]


def measured(command: list[str]) -> tuple[float, float]:
    """Run a command and return its seconds and its peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return seconds, usage.ru_maxrss / 1024


def _row(backend: str, what: str, values: list[float], peak: float) -> None:
    each = ", ".join(f"{value:.2f}" for value in values)
    print(f"| {backend} | {what} | {statistics.median(values):.2f} | {each} | {peak:.0f} |")


def rendered(path: Path, frames: int) -> Path:
    """Draw the clip."""
    import numpy as np

    from isomer.data.synthetic.clip import SceneFrames, write_clip
    from isomer.data.synthetic.drawn import draw_scene

    write_clip(SceneFrames(draw_scene(np.random.default_rng(0)), frames), path)
    return path


def _count(video: Path, key_interval: int) -> tuple[int, int]:
    from isomer.flow import DISFlow, moving_frames
    from isomer.media import open_frames

    moving = [bool(m.flows) for m in moving_frames(open_frames(video), DISFlow(), key_interval=key_interval)]
    return len(moving), sum(moving)


if __name__ == "__main__":
    main()

"""What `isomer batch` costs: overhead a video, scaling from one worker to two, recovery from a killed worker.

Prints a table of wall-clock seconds of `segment_batch`, which include Ray's start and end and the loading of
models. Workers have one core each.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from isomer.cluster import Resources, Settings, segment_batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path, nargs="?", default=Path("examples/clip.mp4"))
    parser.add_argument("--copies", type=int, default=8, help="videos in the batch (default: %(default)s)")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--shard", type=int, default=36, help="frames a part (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="isomer-batch-") as folder:
        table = measure(Path(folder), arguments)
    print("| | s |\n| --- | --- |")
    for name, seconds in table.items():
        print(f"| {name} | {seconds:.2f} |")


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    clip, count = arguments.clip, arguments.copies
    (folder / "many").mkdir()
    for number in range(count):
        shutil.copy(clip, folder / "many" / f"{number:03d}{clip.suffix}")
    (folder / "bad.mp4").write_text("no video: is refused at once\n")

    def batch(output: str, videos: Path, workers: int, shard: int = 0) -> float:
        settings = Settings(outputs=("mask",), size=arguments.size, shard=shard)
        begin = time.perf_counter()
        segment_batch([videos], folder / output, settings, Resources(workers=workers, cpus=1))
        return time.perf_counter() - begin

    batch("warm", folder / "bad.mp4", 1)  # converts the network, if a back end wants that
    start = batch("start", folder / "bad.mp4", 1)
    one = batch("one", folder / "many", 1)
    two = batch("two", folder / "many", 2)
    killer = threading.Thread(target=kill_one, args=(folder / "killed", workers()), daemon=True)
    killer.start()
    killed = batch("killed", folder / "many", 2)
    assert not killer.is_alive()
    whole = batch("whole", clip, 2)
    parts = batch("parts", clip, 2, arguments.shard)
    mask = f"{clip.stem}_mask.mp4"
    assert (folder / "whole" / mask).read_bytes() == (folder / "parts" / mask).read_bytes()

    work_one, work_two = seconds(folder / "one"), seconds(folder / "two")
    return {
        "start and end of Ray and of a worker": start,
        f"{count} videos, 1 worker": one,
        "of which work on a video, mean": work_one / count,
        "overhead a video: the rest, less the start": (one - start - work_one) / count,
        f"{count} videos, 2 workers": two,
        "of which work on a video, mean (2 workers)": work_two / count,
        "1 worker to 2, less the start: times as fast": (one - start) / (two - start),
        f"{count} videos, 2 workers, one killed": killed,
        "cost of the death": killed - two,
        "1 video, 2 workers, whole": whole,
        f"1 video, 2 workers, in parts of {arguments.shard} frames": parts,
    }


def seconds(output: Path) -> float:
    """Return the seconds of work on all videos of a batch."""
    videos = json.loads((output / "manifest.json").read_text())["videos"].values()
    assert all(video["state"] == "done" for video in videos)
    return float(sum(video["seconds"] for video in videos))


def kill_one(output: Path, others: set[int]) -> None:
    """Kill one worker when a batch has its first video done."""
    while not list(output.glob("*_mask.mp4")) or not (mine := workers() - others):
        time.sleep(0.1)
    os.kill(min(mine), signal.SIGKILL)


def workers() -> set[int]:
    """Return the process numbers of workers that are at a task: Ray says so in their names."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return {int(line.split()[0]) for line in listed.splitlines() if "ray::Worker.run" in line}


if __name__ == "__main__":
    main()

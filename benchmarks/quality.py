"""The table of `--quality`: what each one holds, gives and costs.

    python benchmarks/quality.py speed [--video FILE] [--rounds 3]
    python benchmarks/quality.py accuracy HELD_OUT davis-dev [--every 4]

Accuracy is J&F under the official protocol on folders laid out as DAVIS. Speed is that of the whole `isomer` command
with an overlay, a rendered 854x480 video by default, in turn with `ffmpeg` transcoding the same one to x264 superfast.
Each figure is kept in --kept as soon as it is there, and the same command goes on from there; it prints all of them.
What is kept is known by the settings and the weights: measure speed anew, on another machine, into another file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import cv2
from options import Row
from path import measured, rendered, segment

from isomer.evaluate.layout import find_sequences
from isomer.files import atomic_path
from isomer.media import open_frames
from isomer.model.weights import find_checkpoint
from isomer.options import QUALITIES
from isomer.segment.dataset import find_frame_folders

_SPEED = ("frames/s", "x transcode", "peak MB")


class Kept:
    """Figures of the qualities, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._figures: dict[str, dict[str, float]] = json.loads(path.read_text()) if path.exists() else {}

    def of(self, quality: str) -> dict[str, float]:
        """Return what is known of a quality with its present settings and weights."""
        return self._figures.setdefault(_settings(quality), {})

    def keep(self, quality: str, figures: dict[str, float]) -> None:
        """Add to that."""
        self.of(quality).update(figures)
        with atomic_path(self._path) as temporary:
            temporary.write_text(json.dumps(self._figures, indent=1))


def _settings(quality: str) -> str:
    values = vars(QUALITIES[quality])
    weights = find_checkpoint(values["model"])
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:8] if weights else ""
    return ", ".join([*(f"{name.replace('_', ' ')} {value}" for name, value in values.items()), f"weights {digest}"])


def judge(kept: Kept, qualities: list[str], dataset: Path, every: int) -> None:
    """Measure J, F and J&F of the qualities on a dataset."""
    folders = find_frame_folders(dataset)
    for quality in qualities:
        if f"{dataset.name} J&F" in kept.of(quality):
            continue
        row = Row(None, {"quality": quality}, every)
        for name, truth in find_sequences(dataset).items():
            row.add(folders[name], truth)
            print(f"{quality}: {dataset.name}/{name}", file=sys.stderr)
        j, f = row.region_and_boundary()
        kept.keep(quality, {f"{dataset.name} J": j, f"{dataset.name} F": f, f"{dataset.name} J&F": (j + f) / 2})


def clock(kept: Kept, qualities: list[str], video: Path | None, frames: int, rounds: int) -> None:
    """Measure the whole command with each quality, in turn with a plain transcode."""
    missing = [quality for quality in qualities if not kept.of(quality).keys() >= set(_SPEED)]
    with tempfile.TemporaryDirectory() as folder:
        video = video or rendered(Path(folder) / "clip.mp4", frames)
        count = sum(1 for _ in open_frames(video))
        out = Path(folder) / "out.mp4"
        commands = {quality: segment(video, out, {"quality": quality}) for quality in missing}
        transcode = ["ffmpeg", "-v", "error", "-y", "-i", str(video), "-an", "-c:v", "libx264", "-preset", "superfast"]
        commands["transcode"] = [*transcode, str(out)]
        runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for round_ in range(rounds + 1 if missing else 0):  # the first fills caches and does not count
            for name, command in commands.items():
                run = measured(command)
                if round_:
                    runs[name].append(run)
            print(f"round {round_}, load {os.getloadavg()[0]:.2f}", file=sys.stderr)
    for quality in missing:
        seconds, plain = (statistics.median(run[0] for run in runs[name]) for name in (quality, "transcode"))
        peak = max(run[1] for run in runs[quality])
        kept.keep(quality, dict(zip(_SPEED, (count / seconds, seconds / plain, peak), strict=True)))


def print_table(kept: Kept, qualities: list[str]) -> None:
    """Print what is known."""
    columns = list(dict.fromkeys(name for quality in qualities for name in kept.of(quality)))
    print(f"| quality | {' | '.join(columns)} |\n| --- |{' --- |' * len(columns)}")
    for quality in qualities:
        figures = kept.of(quality)
        cells = (f"{figures[name]:.{0 if 'MB' in name else 1}f}" if name in figures else "" for name in columns)
        print(f"| {quality} | {' | '.join(cells)} |")
    for quality in qualities:
        print(f"\n`{quality}`: {_settings(quality)}")


def main() -> None:
    """Measure what is asked for and print all that is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qualities", nargs="+", choices=tuple(QUALITIES), default=list(QUALITIES))
    parser.add_argument("--kept", type=Path, default=Path("quality.json"))
    parts = parser.add_subparsers(dest="part", help="what to measure (default: nothing)")
    accuracy = parts.add_parser("accuracy")
    accuracy.add_argument("datasets", type=Path, nargs="+")
    accuracy.add_argument("--every", type=int, default=1, help="judge every N-th frame")
    speed = parts.add_parser("speed")
    speed.add_argument("--video", type=Path, help="default: rendered")
    speed.add_argument("--frames", type=int, default=288, help="of the rendered video")
    speed.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    kept = Kept(arguments.kept)
    if arguments.part == "accuracy":
        cv2.setNumThreads(1)
        for dataset in arguments.datasets:
            judge(kept, arguments.qualities, dataset, arguments.every)
    elif arguments.part == "speed":
        clock(kept, arguments.qualities, arguments.video, arguments.frames, arguments.rounds)
    print_table(kept, arguments.qualities)


if __name__ == "__main__":
    main()

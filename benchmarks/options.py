"""What key frames, views, smoothing, the network's size and the flow give and cost, on a dataset laid out as DAVIS.

    python benchmarks/options.py DATASET [--every 4] [--only smoothing]

J, F and T under the official protocol, as means over sequences. Flicker is the share of pixels, in per mille and of all
sequences together, whose mask changes from a frame to the next although the flow between them is below a thousandth of
the diagonal: what stands still should not change.
The time is that of flow and network, one after the other, relative to that of the first row, measured in turn.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer import Segmenter
from isomer.evaluate.layout import find_sequences
from isomer.flow import DISFlow
from isomer.media import Frame, open_frames
from isomer.media.image import read_gray
from isomer.metrics import BoundaryAccuracy, RegionSimilarity, TemporalStability
from isomer.segment.dataset import find_frame_folders

ROWS: dict[str, dict[str, Any]] = {
    "default": {},
    "quality fast": {"quality": "fast"},
    "quality best": {"quality": "best"},
    "key interval 1": {"key_interval": 1},
    "key interval 2": {"key_interval": 2},
    "key interval 4": {"key_interval": 4},
    "key interval 12": {"key_interval": 12},
    "views 2": {"views": 2},
    "views 4": {"views": 4},
    "smoothing 0": {"smoothing": 0},
    "smoothing 0.5": {"smoothing": 0.5},
    "smoothing 2": {"smoothing": 2},
    "key interval 1, smoothing 0": {"key_interval": 1, "smoothing": 0},
    "views 2, smoothing 0": {"views": 2, "smoothing": 0},
    "size 256": {"size": 256},
    "size 320": {"size": 320},
    "size 512": {"size": 512},
    "flow at 192": {"flow": DISFlow(short_side=192)},
    "flow at 320": {"flow": DISFlow(short_side=320)},
    "flow, no refinement": {"flow": DISFlow(refinements=0)},
    "flow, 5 refinements": {"flow": DISFlow(refinements=5)},
    "step 1": {"max_step": 1},
}


class Flicker:
    """The mean change of a mask where nothing moves."""

    def __init__(self) -> None:
        self._estimate = DISFlow()
        self._before: tuple[Frame, NDArray[np.bool_]] | None = None
        self.changed = self.still = 0  # pixels

    def begin(self) -> None:
        """Begin a sequence."""
        self._before = None

    def step(self, frame: Frame, mask: NDArray[np.bool_]) -> None:
        """Take the next frame's mask."""
        if self._before is not None:
            flow = self._estimate(self._before[0], frame)
            speed = cv2.resize(np.hypot(flow[..., 0], flow[..., 1]), mask.shape[::-1]) / np.hypot(*flow.shape[:2])
            still = speed < 1e-3
            self.changed += int((mask != self._before[1])[still].sum())
            self.still += int(still.sum())
        self._before = frame, mask


class Row:
    """What one choice of options gives and costs, sequence by sequence.

    Attributes:
        seconds: of segmentation so far.
    """

    def __init__(self, model: str | None, options: dict[str, Any], every: int = 1, temporal: bool = False) -> None:
        self._model, self._options, self._every, self._temporal = model, options, every, temporal
        self._scores: dict[str, list[float]] = {"J": [], "F": [], "T": []}
        self._flicker = Flicker()
        self.seconds = 0.0

    def add(self, folder: Path, truth: dict[str, Path]) -> None:
        """Segment and judge a sequence."""
        j, f, t = RegionSimilarity(), BoundaryAccuracy(), TemporalStability()
        self._flicker.begin()
        segmenter = Segmenter(self._model, ahead=0, **self._options)  # nothing works on while the frame is judged
        source = open_frames(folder)
        segmenter.warm_up(*source.size)
        judged = sorted(truth)[1:-1]
        start = time.perf_counter()
        for result in segmenter(source):
            self.seconds += time.perf_counter() - start
            levels = np.rint(255 * result.probability).astype(np.uint8)
            if result.name in judged and judged.index(result.name) % self._every == 0:
                mask = read_gray(truth[result.name])
                j.step(levels, mask)
                f.step(levels, mask)
            if self._temporal and result.name in judged:
                t.step(levels, read_gray(truth[result.name]))
            self._flicker.step(result, levels > 128)
            start = time.perf_counter()
        self._scores["J"].append(j.result().mean)
        self._scores["F"].append(f.result().mean)
        if self._temporal:
            self._scores["T"].append(t.result().mean)

    def region_and_boundary(self) -> tuple[float, float]:
        """Return J and F in percent."""
        j, f = (100 * float(np.mean(self._scores[measure])) for measure in ("J", "F"))
        return j, f

    def cells(self, first: Row) -> list[str]:
        """Return J, F, J&F and T in percent, flicker in per mille, and the time relative to that of `first`."""
        j, f = self.region_and_boundary()
        t = f"{100 * np.mean(self._scores['T']):.1f}" if self._temporal else ""
        flicker = 1000 * self._flicker.changed / max(self._flicker.still, 1)
        return [
            f"{j:.1f}",
            f"{f:.1f}",
            f"{(j + f) / 2:.1f}",
            t,
            f"{flicker:.1f}",
            f"{self.seconds / first.seconds:.2f}",
        ]


def main() -> None:
    """Measure all rows on a sequence, then on the next: so what changes the machine's speed changes it for all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--every", type=int, default=1, help="judge J and F on every N-th frame")
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose name has one of these in it")
    parser.add_argument("--temporal", action="store_true", help="T too, which is slow")
    arguments = parser.parse_args()
    rows = {
        name: Row(arguments.model, options, arguments.every, arguments.temporal)
        for name, options in ROWS.items()
        if name == "default" or any(part in name for part in arguments.only)
    }
    folders = find_frame_folders(arguments.dataset)
    for name, truth in find_sequences(arguments.dataset).items():
        print(name, file=sys.stderr)
        for row in rows.values():
            row.add(folders[name], truth)
    print("| | J | F | J&F | T | flicker | time |\n| --- | --- | --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(row.cells(rows['default']))} |")


if __name__ == "__main__":
    main()

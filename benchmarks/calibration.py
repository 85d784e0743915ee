"""What a model's probabilities are worth, and which input size and threshold suit, on a dataset laid out as DAVIS.

    python benchmarks/calibration.py DATASET [--model NAME_OR_FILE] [--plot docs/images/calibration.png]

The reliability curve compares the stated probability with the share of pixels that are object; the expected
calibration error is the mean distance of the two, by pixels (Guo et al., "On calibration of modern neural
networks", ICML 2017).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer import Segmenter
from isomer.evaluate.layout import find_sequences
from isomer.files import atomic_path
from isomer.media import open_frames
from isomer.media.image import read_gray
from isomer.metrics import BoundaryAccuracy, FramePair, RegionSimilarity
from isomer.segment.dataset import find_frame_folders

_BINS = 15
_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


class Reliability:
    """Pixels by their probability: their number, their probabilities' sum, and how many are object.

    Attributes:
        sums: float64 [3, bins].
    """

    def __init__(self, bins: int = _BINS):
        self.sums = np.zeros((3, bins))

    def step(self, probability: NDArray[np.float32], annotation: NDArray[np.bool_]) -> None:
        """Add a frame, both [H, W]."""
        bins = self.sums.shape[1]
        numbers = np.minimum(probability * bins, bins - 1).astype(np.intp).ravel()
        for total, weights in zip(self.sums, (None, probability.ravel(), annotation.ravel()), strict=True):
            total += np.bincount(numbers, weights, bins)

    def shares(self) -> NDArray[np.float64]:
        """Return the sums as shares of all pixels, so that sequences can be averaged."""
        return self.sums / self.sums[0].sum()


def calibration_error(shares: NDArray[np.float64]) -> float:
    """Return the expected calibration error of `Reliability.shares`."""
    return float(np.abs(shares[1] - shares[2]).sum())


class SequenceFigures:
    """Reliability, and J and F at every threshold, of one sequence."""

    def __init__(self) -> None:
        self.reliability = Reliability()
        self.measures = [(RegionSimilarity(), BoundaryAccuracy()) for _ in _THRESHOLDS]

    def step(self, probability: NDArray[np.float32], annotation: NDArray[np.bool_]) -> None:
        """Add a frame, both [H, W]."""
        self.reliability.step(probability, annotation)
        for threshold, measures in zip(_THRESHOLDS, self.measures, strict=True):
            pair = FramePair(np.where(probability >= threshold, np.uint8(255), np.uint8(0)), annotation)
            for measure in measures:
                measure.step_pair(pair)

    def scores(self) -> NDArray[np.float64]:
        """Return J and F by threshold, [T, 2] in percent."""
        return np.array([[100 * measure.result().mean for measure in measures] for measures in self.measures])


def measure(dataset: Path, segmenter: Segmenter, frames: int | None) -> dict[str, SequenceFigures]:
    """Segment every sequence, or its first frames; as in the official protocol the first and last do not count."""
    figures = {}
    annotations = find_sequences(dataset)
    for name, folder in find_frame_folders(dataset).items():
        figures[name] = SequenceFigures()
        names = list(annotations[name])[:frames]
        for result in segmenter(islice(open_frames(folder), frames)):
            if result.name in names[1:-1]:
                figures[name].step(result.probability, read_gray(annotations[name][result.name]) > 0)
    return figures


def plot(by_size: Mapping[int, NDArray[np.float64]], path: Path) -> None:
    """Draw the reliability curves, and below them how many pixels each bin has."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (curve, counts) = plt.subplots(
        2, 1, figsize=(5, 6), height_ratios=(3, 1), sharex=True, layout="constrained"
    )
    curve.plot((0, 1), (0, 1), color="gray", linestyle=":", label="perfectly calibrated")
    for size, shares in by_size.items():
        curve.plot(shares[1] / shares[0], shares[2] / shares[0], marker="o", markersize=4, label=f"size {size}")
        counts.stairs(shares[0], np.linspace(0, 1, shares.shape[1] + 1))
    curve.set(ylabel="share of pixels that are object", xlim=(0, 1), ylim=(0, 1))
    curve.legend(frameon=False)
    counts.set(xlabel="probability stated", ylabel="share of pixels", yscale="log")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default="isomer_mobilenet_v2")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 384, 512])
    parser.add_argument("--frames", type=int, help="only the first of each sequence")
    parser.add_argument("--plot", type=Path, help="draw the reliability curves into this file")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)

    reliability, by_threshold = {}, {}
    print("| size | J | F | J&F | expected calibration error |\n| --- | --- | --- | --- | --- |")
    for size in arguments.sizes:
        segmenter = Segmenter(arguments.model, size=size, key_interval=1, smoothing=0)
        figures = measure(arguments.dataset, segmenter, arguments.frames).values()
        shares = [sequence.reliability.shares() for sequence in figures]
        reliability[size] = np.mean(shares, axis=0)
        by_threshold[size] = np.mean([sequence.scores() for sequence in figures], axis=0)
        j, f = by_threshold[size][_THRESHOLDS.index(0.5)]
        error = np.mean([calibration_error(share) for share in shares])
        print(f"| {size} | {j:.1f} | {f:.1f} | {(j + f) / 2:.1f} | {error:.4f} |", flush=True)

    print("\n| J / F at threshold | " + " | ".join(f"size {size}" for size in arguments.sizes) + " |")
    print("| --- |" + " --- |" * len(arguments.sizes))
    for number, threshold in enumerate(_THRESHOLDS):
        cells = ("{:.1f} / {:.1f}".format(*by_threshold[size][number]) for size in arguments.sizes)
        print(f"| {threshold} | {' | '.join(cells)} |")

    print("\n| probability stated | " + " | ".join(f"object, size {size}" for size in arguments.sizes) + " |")
    print("| --- |" + " --- |" * len(arguments.sizes))
    for number in range(_BINS):
        cells = (f"{shares[2, number] / shares[0, number]:.3f}" for shares in reliability.values())
        print(f"| {number / _BINS:.2f} to {(number + 1) / _BINS:.2f} | {' | '.join(cells)} |")
    if arguments.plot:
        plot(reliability, arguments.plot)


if __name__ == "__main__":
    main()

"""What a model's probabilities are worth, and which input size and threshold suit, on a dataset laid out as DAVIS.

    python benchmarks/calibration.py DATASET [--model NAME_OR_FILE] [--plot docs/images/calibration.png]
    python benchmarks/calibration.py DATASET --model best.safetensors --fit calibrated.safetensors

The reliability curve compares the stated probability with the share of pixels that are object; the expected
calibration error is the mean distance of the two, by pixels (Guo et al., "On calibration of modern neural
networks", ICML 2017). All sequences count alike. Most pixels are surely background: the border's are those within 20
pixels of the annotated object's outline.

--fit multiplies the logits, in the weights of the last layer, by the number that makes the annotations at the border
most likely (temperature scaling, ibid.), and prints the errors to expect. It moves no pixel of the network's own maps
across 0.5.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
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
from isomer.model.weights import find_checkpoint
from isomer.options import Quality
from isomer.segment.dataset import find_frame_folders

_BINS = 15
_BORDER = 20  # pixels
_LOGITS = np.linspace(-15, 15, 1201)  # edges of the bins
_SCALES = np.geomspace(0.1, 4, 500)
_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


class Reliability:
    """Pixels by the logit of their probability: how many are object, and how many not.

    Attributes:
        counts: float64 [2, bins], not object and object.
    """

    def __init__(self, counts: NDArray[np.float64] | None = None) -> None:
        self.counts = np.zeros((2, len(_LOGITS) - 1)) if counts is None else counts

    def step(self, probability: NDArray[np.float32], annotation: NDArray[np.bool_]) -> None:
        """Add pixels, both [N]."""
        sure = np.clip(probability.astype(np.float64), 1e-6, 1 - 1e-6)
        logits = np.log(sure / (1 - sure))
        for counts, its in zip(self.counts, (logits[~annotation], logits[annotation]), strict=True):
            counts += np.histogram(its, _LOGITS)[0]

    def curve(self, scale: float = 1) -> NDArray[np.float64]:
        """Return by bin of probability: share of all pixels, mean probability, share of object [3, bins]."""
        probabilities = _sigmoid(scale * _middles())
        numbers = (probabilities * _BINS).astype(np.intp)
        pixels = self.counts.sum(0)
        sums = [np.bincount(numbers, weights, _BINS) for weights in (pixels, pixels * probabilities, self.counts[1])]
        with np.errstate(invalid="ignore"):  # bins without pixels are nan
            return np.array([sums[0] / pixels.sum(), sums[1] / sums[0], sums[2] / sums[0]])

    def error(self, scale: float = 1) -> float:
        """Return the expected calibration error, of logits times `scale`."""
        share, probability, objects = self.curve(scale)
        return float(np.nansum(share * np.abs(probability - objects)))

    def best_scale(self) -> float:
        """Return what logits are to be multiplied by so that the pixels are most likely."""

        def surprise(scale: float) -> float:
            logits = scale * _middles()
            return float(np.sum(self.counts * np.logaddexp(0, [logits, -logits])))

        return float(min(_SCALES, key=surprise))


def mean(parts: list[Reliability]) -> Reliability:
    """Average over sequences, each as shares of its pixels."""
    return Reliability(np.mean([part.counts / part.counts.sum() for part in parts], axis=0))


def _middles() -> NDArray[np.float64]:
    return (_LOGITS[1:] + _LOGITS[:-1]) / 2


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-logits))


def near_border(annotation: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which pixels are within `_BORDER` of the outline, [H, W]; none where there is no object."""
    if annotation.all() or not annotation.any():
        return np.zeros_like(annotation)
    inside, outside = (
        cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L2, 5) for side in (annotation, ~annotation)
    )
    return np.maximum(inside, outside) <= _BORDER


class SequenceFigures:
    """Reliability, and J and F at every threshold, of one sequence."""

    def __init__(self) -> None:
        self.everywhere, self.border = Reliability(), Reliability()
        self.measures = [(RegionSimilarity(), BoundaryAccuracy()) for _ in _THRESHOLDS]

    def step(self, probability: NDArray[np.float32], annotation: NDArray[np.bool_], masks: bool = True) -> None:
        """Add a frame, both [H, W]; with or without J and F, which take the most time."""
        band = near_border(annotation)
        self.everywhere.step(probability.ravel(), annotation.ravel())
        self.border.step(probability[band], annotation[band])
        for threshold, measures in zip(_THRESHOLDS, self.measures if masks else (), strict=masks):
            pair = FramePair(np.where(probability >= threshold, np.uint8(255), np.uint8(0)), annotation)
            for measure in measures:
                measure.step_pair(pair)

    def scores(self) -> NDArray[np.float64]:
        """Return J and F by threshold, [T, 2] in percent."""
        return np.array([[100 * measure.result().mean for measure in measures] for measures in self.measures])


def measure(dataset: Path, segmenter: Segmenter, every: int, masks: bool = True) -> list[SequenceFigures]:
    """Segment every sequence and judge every N-th frame; as in the official protocol not the first and the last."""
    figures = []
    annotations = find_sequences(dataset)
    for name, folder in find_frame_folders(dataset).items():
        sequence = SequenceFigures()
        judged = list(annotations[name])[1:-1:every]
        for result in segmenter(open_frames(folder)):
            if result.name in judged:
                sequence.step(result.probability, read_gray(annotations[name][result.name]) > 0, masks)
        figures.append(sequence)
    return figures


def fit(dataset: Path, model: Path, out: Path, every: int) -> None:
    """Write a checkpoint whose probabilities are calibrated at the border."""
    import torch

    from isomer.model.checkpoint import load_checkpoint, read_metadata, save_model

    figures = measure(dataset, Segmenter(model), every, masks=False)
    border, everywhere = (mean([getattr(its, part) for its in figures]) for part in ("border", "everywhere"))
    scale = border.best_scale()
    network = load_checkpoint(model)
    with torch.no_grad():
        for parameter in network.decode_head.linear_saliency_pred.parameters():
            parameter.mul_(scale)
    sequences = " ".join(find_frame_folders(dataset))
    save_model(network, out, read_metadata(model) | {"calibrated": f"logits times {scale:.3f}, fitted on {sequences}"})
    print(f"logits times {scale:.3f}: wrote {out}\n\n| error | at the border | everywhere |\n| --- | --- | --- |")
    for name, factor in (("before", 1), ("after", scale)):
        print(f"| {name} | {border.error(factor):.4f} | {everywhere.error(factor):.4f} |")


def plot(by_size: Mapping[int, Reliability], path: Path) -> None:
    """Draw the reliability curves, and below them how many pixels each bin has."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (curve, counts) = plt.subplots(
        2, 1, figsize=(5, 6), height_ratios=(3, 1), sharex=True, layout="constrained"
    )
    curve.plot((0, 1), (0, 1), color="gray", linestyle=":", label="perfectly calibrated")
    for size, reliability in by_size.items():
        share, probability, objects = reliability.curve()
        curve.plot(probability, objects, marker="o", markersize=4, label=f"size {size}")
        counts.stairs(share, np.linspace(0, 1, _BINS + 1))
    curve.set(ylabel="share of pixels that are object", xlim=(0, 1), ylim=(0, 1))
    curve.legend(frameon=False)
    counts.set(xlabel="probability stated", ylabel="share of pixels", yscale="log")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


def main() -> None:
    """Measure and print the tables, or fit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--model", default=Quality.model)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 384, 512])
    parser.add_argument("--every", type=int, default=1, help="judge every N-th frame")
    parser.add_argument("--plot", type=Path, help="draw the border's reliability curves into this file")
    parser.add_argument("--fit", type=Path, metavar="FILE", help="write the calibrated checkpoint; measure nothing")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.fit:
        fit(arguments.dataset, find_checkpoint(arguments.model), arguments.fit, arguments.every)
        return

    border, by_threshold = {}, {}
    print("| size | J | F | J&F | error at the border | error everywhere |\n| --- | --- | --- | --- | --- | --- |")
    for size in arguments.sizes:
        figures = measure(arguments.dataset, Segmenter(arguments.model, size=size), arguments.every)
        border[size] = mean([sequence.border for sequence in figures])
        everywhere = mean([sequence.everywhere for sequence in figures])
        by_threshold[size] = np.mean([sequence.scores() for sequence in figures], axis=0)
        j, f = by_threshold[size][_THRESHOLDS.index(0.5)]
        errors = f"{border[size].error():.4f} | {everywhere.error():.4f}"
        print(f"| {size} | {j:.1f} | {f:.1f} | {(j + f) / 2:.1f} | {errors} |", flush=True)

    print("\n| J / F at threshold | " + " | ".join(f"size {size}" for size in arguments.sizes) + " |")
    print("| --- |" + " --- |" * len(arguments.sizes))
    for number, threshold in enumerate(_THRESHOLDS):
        cells = ("{:.1f} / {:.1f}".format(*by_threshold[size][number]) for size in arguments.sizes)
        print(f"| {threshold} | {' | '.join(cells)} |")

    print(
        "\n| probability stated at the border | "
        + " | ".join(f"object, size {size}" for size in arguments.sizes)
        + " |"
    )
    print("| --- |" + " --- |" * len(arguments.sizes))
    for number in range(_BINS):
        cells = (f"{reliability.curve()[2, number]:.3f}" for reliability in border.values())
        print(f"| {number / _BINS:.2f} to {(number + 1) / _BINS:.2f} | {' | '.join(cells)} |")
    if arguments.plot:
        plot(border, arguments.plot)


if __name__ == "__main__":
    main()

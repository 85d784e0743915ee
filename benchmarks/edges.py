"""What edges give and cost: mattes of rendered scenes whose opacity is known, and masks of a dataset laid out as DAVIS.

    python benchmarks/edges.py [--dataset DATASET ...] [--scenes 6]

The scenes are those of `isomer.data.synthetic.edges`. Errors are of the cut-outs' pixels within 10 of one that is of
both sides, as means over scenes; *colour* is the mean error of the colours of such pixels, in levels and weighted by
their true opacity. J and F follow the official protocol. Times are of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer import Segmenter
from isomer.data.synthetic.edges import KINDS, draw_edge_scene
from isomer.data.synthetic.scene import Exposure
from isomer.evaluate.layout import find_sequences
from isomer.flow import Flow
from isomer.media import Look, Segmented, open_frames, pictures
from isomer.media.image import read_gray
from isomer.metrics import BoundaryAccuracy, RegionSimilarity
from isomer.metrics.matting import MSE, SAD, ConnectivityError, DtSSD, GradientError
from isomer.options import EDGES
from isomer.segment.dataset import find_frame_folders
from isomer.segment.edges.stream import with_edges
from isomer.segment.objects.tracker import StepFlow

_MEASURES = (SAD, MSE, GradientError, ConnectivityError, DtSSD)
_NEAR = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21))


def with_steps(results: Sequence[Segmented]) -> list[tuple[Segmented, Flow | None]]:
    """Pair results of one shot with the flow to the frame before."""
    step = StepFlow()
    return [(result, step(result, opens_shot=index == 0)) for index, result in enumerate(results)]


def judge(exposed: Sequence[Exposure], results: Sequence[Segmented]) -> list[float]:
    """Return the errors of the cut-outs of a scene, by `_MEASURES`, and that of their colours."""
    measures = [kind() for kind in _MEASURES]
    colours = []
    for (_, truth, own), result in zip(exposed, results, strict=True):
        mixed = (truth > 0.02) & (truth < 0.98)
        region = cv2.dilate(mixed.view(np.uint8), _NEAR) > 0
        shown = pictures.cutout(result, Look())
        alpha = (shown[..., 3] / np.float32(255)).astype(np.float32)
        for measure in measures:
            measure.step(alpha, truth, region)
        colours.append(colour_error(shown[..., :3], own, truth, mixed))
    return [*(measure.result() for measure in measures), float(np.mean(colours))]


def colour_error(
    shown: NDArray[np.uint8], own: NDArray[np.float32], alpha: NDArray[np.float32], where: NDArray[np.bool_]
) -> float:
    """Return the mean absolute error of colours [H, W, 3], weighted by opacity."""
    errors = np.abs(shown[where] - own[where]).mean(1)
    return float((errors * alpha[where]).sum() / alpha[where].sum())


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, nargs="+", default=())
    parser.add_argument("--scenes", type=int, default=6)
    parser.add_argument("--frames", type=int, default=16, help="of each scene")
    parser.add_argument("--every", type=int, default=1, help="judge J and F on every N-th frame")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    segmenter = Segmenter(ahead=0, edges="map")

    if arguments.scenes:
        judge_mattes(segmenter, arguments.scenes, arguments.frames)
    for dataset in arguments.dataset:
        judge_masks(dataset, segmenter, arguments.every)


def judge_mattes(segmenter: Segmenter, scenes: int, frames: int) -> None:
    """Print the errors of cut-outs of rendered scenes."""
    errors: dict[str, list[list[float]]] = {edges: [] for edges in EDGES}
    seconds = dict.fromkeys(EDGES, 0.0)
    mixed_colours = []
    for seed in range(scenes):
        scene = draw_edge_scene(np.random.default_rng(seed), KINDS[seed % len(KINDS)])
        exposed = [scene.expose(t) for t in range(frames)]
        found = with_steps(list(segmenter([one.image for one in exposed])))
        for image, alpha, own in exposed:
            mixed_colours.append(colour_error(image, own, alpha, (alpha > 0.02) & (alpha < 0.98)))
        for edges in EDGES:
            start = time.perf_counter()
            results = [result for result, _ in with_edges(found, edges)]
            seconds[edges] += time.perf_counter() - start
            errors[edges].append(judge(exposed, results))
    print("| edges | SAD | MSE | gradient | connectivity | dtSSD | colour | ms a frame |")
    print("| --- |" + " --- |" * 7)
    for edges in EDGES:
        *others, colour = np.mean(errors[edges], axis=0)
        spent = 1000 * seconds[edges] / (scenes * frames)
        print(f"| {edges} | {' | '.join(f'{value:.3g}' for value in others)} | {colour:.1f} | {spent:.1f} |")
    print(f"\nColours as the frame mixes them: {np.mean(mixed_colours):.1f}")


def judge_masks(dataset: Path, segmenter: Segmenter, every: int) -> None:
    """Print J and F of the masks of each sequence with and without refined edges."""
    folders = find_frame_folders(dataset)
    print(f"\n| {dataset.name} | map: J | F | refined: J | F |\n| --- |" + " --- |" * 4)
    rows = []
    for name, truth in find_sequences(dataset).items():
        judged = sorted(truth)[1:-1][::every]
        measures = [(edges, RegionSimilarity(), BoundaryAccuracy()) for edges in ("map", "refined")]
        for result in segmenter(open_frames(folders[name])):
            if result.name not in judged:
                continue
            annotation = read_gray(truth[result.name])
            for edges, *pair in measures:
                ((shown, _),) = with_edges([(result, None)], edges)
                for measure in pair:
                    measure.step(pictures.mask(shown, Look()), annotation)
        rows.append([100 * measure.result().mean for _, *pair in measures for measure in pair])
        print_row(name, rows[-1])
    print_row("mean", np.mean(rows, axis=0))


def print_row(name: str, values: Sequence[float] | NDArray[np.float64]) -> None:
    """Print a row of a table."""
    print(f"| {name} | {' | '.join(f'{value:.1f}' for value in values)} |", flush=True)


if __name__ == "__main__":
    main()

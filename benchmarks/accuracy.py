"""J and F of a model, and of two answers that need no network, on a dataset laid out as DAVIS.

    python benchmarks/accuracy.py DATASET [--quality fast] [--model NAME_OR_FILE]

The answers to beat: the residual of the dominant affine motion, cut by Otsu's threshold, and a centred
ellipse of the objects' mean size.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer import Segmenter, evaluate_zvos
from isomer.evaluate.layout import find_sequences
from isomer.evaluate.tables import format_table
from isomer.flow import DISFlow, Flow, frames_with_flow
from isomer.media import open_frames
from isomer.media.image import read_gray, write_image
from isomer.options import QUALITIES
from isomer.segment.dataset import find_frame_folders, predict_dataset


def affine_residual(flow: Flow) -> NDArray[np.uint8]:
    """Cut the residual of the dominant (RANSAC) affine motion by Otsu's threshold: 0/255 [h, w]."""
    height, width = flow.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    sample = (slice(4, None, 8), slice(4, None, 8))
    points, moved = grid[sample].reshape(-1, 2), (grid + flow)[sample].reshape(-1, 2)
    cv2.setRNGSeed(0)
    affine, _ = cv2.estimateAffine2D(points, moved, method=cv2.RANSAC, ransacReprojThreshold=1)
    residual = np.linalg.norm(grid + flow - (grid @ affine[:, :2].T + affine[:, 2]), axis=-1)
    levels = np.clip(residual / np.percentile(residual, 99.5) * 255, 0, 255).astype(np.uint8)
    return cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)[1]


def write_residuals(dataset: Path, out: Path) -> None:
    """Write the affine residual's mask of every frame."""
    for name, folder in find_frame_folders(dataset).items():
        source = open_frames(folder)
        for frame, flow in frames_with_flow(source, DISFlow(), max_step=1):
            write_image(out / name / f"{frame.name}.png", cv2.resize(affine_residual(flow), source.size))


def write_ellipses(dataset: Path, out: Path) -> None:
    """Write one mask for all frames: an ellipse at the centre, as wide and high as the objects on average."""
    annotations = find_sequences(dataset)
    boxes = [share for frames in annotations.values() for path in frames.values() for share in _box(path)]
    width, height = np.mean(boxes, axis=0)
    for name, frames in annotations.items():
        for frame, path in frames.items():
            mask = np.zeros_like(read_gray(path))
            rows, columns = mask.shape
            axes = (round(width * columns / 2), round(height * rows / 2))
            cv2.ellipse(mask, (columns // 2, rows // 2), axes, 0, 0, 360, 255, -1)
            write_image(out / name / f"{frame}.png", mask)


def _box(path: Path) -> Iterator[tuple[float, float]]:
    """Yield the width and height of a frame's object as shares of the frame's, if there is one."""
    mask = read_gray(path)
    _, _, width, height = cv2.boundingRect(mask)
    if width:
        yield width / mask.shape[1], height / mask.shape[0]


def main() -> None:
    """Predict with all three and print one table under the official protocol."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--quality", choices=tuple(QUALITIES), default="default")
    parser.add_argument("--model", help="default: that of the quality")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        names = ("centred ellipse", "affine residual", f"quality {arguments.quality}")
        ellipses, residuals, predictions = (Path(folder) / name for name in names)
        write_ellipses(arguments.dataset, ellipses)
        write_residuals(arguments.dataset, residuals)
        segmenter = Segmenter(arguments.model, quality=arguments.quality)
        for done in predict_dataset(arguments.dataset, predictions, segmenter, {}):
            print(f"{done.name}: {done.frames} frames", flush=True)
        print(format_table(evaluate_zvos([ellipses, residuals, predictions], arguments.dataset)))


if __name__ == "__main__":
    main()

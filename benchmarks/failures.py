"""The worst frames of datasets with masks: a table, and a picture of each to look at.

    python benchmarks/failures.py davis-dev
    python benchmarks/failures.py video/sbi2015 --unknown 170

A sequence is segmented as a video where it is one; where its frames come in pairs with gaps, as those of SBI2015 and
CDnet2014 do, every pair is a video of its own. The picture shows the mask in red and the annotation's outline in green.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer import Segmenter
from isomer.data.sequences import Levels, VideoSequence, find_sequences, frame_number
from isomer.media.image import read_image, write_image
from isomer.options import Quality


class Result(NamedTuple):
    """One frame: its region similarity without the unknown pixels, and a picture of it."""

    sequence: str
    frame: str
    similarity: float
    picture: NDArray[np.uint8]


def results(sequence: VideoSequence, segmenter: Segmenter) -> Iterator[Result]:
    """Segment a sequence and judge every frame that has a mask with an object in it."""
    for video in videos(sequence):
        for path, result in zip(video, segmenter(map(read_image, video)), strict=True):
            if path.stem not in sequence.masks:
                continue
            truth, found = sequence.mask(path), result.mask()
            known, object_ = truth != 128, truth == 255
            union = ((found | object_) & known).sum()
            if object_.any():
                similarity = float((found & object_).sum() / union)
                yield Result(sequence.name, path.stem, similarity, picture(result.image, found, object_))


def videos(sequence: VideoSequence) -> list[list[Path]]:
    """Cut a sequence where frames are left out."""
    numbers = [frame_number(path.stem) for path in sequence.frames]
    unit = min(after - before for before, after in pairwise(numbers))
    runs = [[sequence.frames[0]]]
    for (before, after), path in zip(pairwise(numbers), sequence.frames[1:], strict=True):
        if after - before == unit:
            runs[-1].append(path)
        else:
            runs.append([path])
    return [run for run in runs if len(run) > 1]


def picture(frame: NDArray[np.uint8], found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Draw a mask and the outline of the true one."""
    shown = frame.copy()
    shown[found] = shown[found] // 2 + np.array([127, 0, 0], np.uint8)
    outline, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, outline, -1, (0, 255, 0), 2)
    return np.asarray(cv2.resize(shown, (400, 240), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    """Print the worst frames, at most a few of a sequence, and draw them side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--background", type=int, nargs="+", default=[0], help="levels of the masks that are none")
    parser.add_argument("--unknown", type=int, nargs="+", default=[128], help="levels of the masks not to judge")
    parser.add_argument("--model", default=Quality.model)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--each", type=int, default=3, help="of one sequence at most")
    parser.add_argument("-o", dest="out", type=Path, default=Path("failures.png"))
    arguments = parser.parse_args()
    levels = Levels(tuple(arguments.background), tuple(arguments.unknown))
    segmenter = Segmenter(arguments.model, views=arguments.views, key_interval=1, smoothing=0)

    worst: list[Result] = []
    print("| sequence | frames | mean J | worst frame | J |\n| --- | --- | --- | --- | --- |")
    for sequence in find_sequences(arguments.dataset, levels=levels):
        frames = sorted(results(sequence, segmenter), key=lambda result: result.similarity)
        mean = float(np.mean([result.similarity for result in frames]))
        first = frames[0]
        print(f"| {sequence.name} | {len(frames)} | {mean:.3f} | {first.frame} | {first.similarity:.3f} |", flush=True)
        worst += frames[: arguments.each]
    worst = sorted(worst, key=lambda result: result.similarity)[: arguments.count]
    for result in worst:
        print(f"{result.sequence} {result.frame}: J {result.similarity:.3f}")
    rows = [np.vstack([r.picture for r in worst[start::2]]) for start in range(2) if len(worst) % 2 == 0 or start == 0]
    write_image(arguments.out, np.hstack(rows))


if __name__ == "__main__":
    main()

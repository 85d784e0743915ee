"""How well objects keep their numbers, from the true masks of a dataset laid out as DAVIS.

    python benchmarks/objects.py DATASET [NAME or NAME+NAME ...]

NAME+NAME is the first sequence with the object of the second pasted into it, at 0.6 times its size, crossing from the
right to the left; by default all sequences and all such pairs. What is told is the share of each object's pixels that
carry its most frequent number, and how many numbers were given in all.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np

from isomer.evaluate.layout import find_sequences
from isomer.media import Frame, Labels, Segmented, open_frames
from isomer.media.image import read_gray
from isomer.segment.dataset import find_frame_folders
from isomer.segment.objects import track_objects

_SIZE, _FROM, _TO, _TOP = 0.6, 0.9, -0.5, 0.2
"""Of what is pasted: its size, where its left border begins and ends, and its top, as shares of the frame."""


def sequence(dataset: Path, name: str) -> list[tuple[Frame, Labels]]:
    """Read the frames of a sequence with its true object."""
    annotations = find_sequences(dataset)[name]
    frames = open_frames(find_frame_folders(dataset)[name])
    return [(frame, (read_gray(annotations[frame.name]) > 0).view(np.uint8)) for frame in frames]


def pasted(below: list[tuple[Frame, Labels]], above: list[tuple[Frame, Labels]]) -> Iterator[tuple[Frame, Labels]]:
    """Let the object of one sequence, number 2, cross another sequence."""
    count = min(len(below), len(above))
    for t, ((frame, labels), (other, mask)) in enumerate(zip(below, above, strict=False)):
        height, width = labels.shape
        scale = _SIZE * np.array((width, height)) / mask.shape[::-1]
        left = (_FROM + (_TO - _FROM) * t / (count - 1)) * width
        place = np.array([[scale[0], 0, left], [0, scale[1], _TOP * height]])
        image = cv2.warpAffine(other.image, place, (width, height))
        covered = cv2.warpAffine(mask, place, (width, height), flags=cv2.INTER_NEAREST) > 0
        yield replace(frame, image=np.where(covered[..., None], image, frame.image)), np.where(covered, 2, labels)


def shares(frames: Iterable[tuple[Frame, Labels]]) -> tuple[list[float], int]:
    """Return the share of each object's pixels that carry its most frequent number, and the count of numbers."""
    truth: list[Labels] = []

    def results() -> Iterator[Segmented]:
        for frame, labels in frames:
            truth.append(labels)
            yield Segmented.of(frame, np.minimum(labels, 1).astype(np.float32))

    counts = np.zeros((3, 256), np.int64)
    for result in track_objects(results()):
        assert result.labels is not None
        np.add.at(counts, (truth[-1], result.labels), 1)
    objects = [row for row in counts[1:] if row.any()]
    return [row[1:].max() / row.sum() for row in objects], int(counts[:, 1:].any(axis=0).sum())


def main() -> None:
    """Measure and print the table, and the mean over all objects."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    folders = find_frame_folders(arguments.dataset)
    means = []
    print("| sequence | share | numbers |\n| --- | --- | --- |")
    for name in arguments.names or [*folders, *map("+".join, permutations(folders, 2))]:
        frames = [sequence(arguments.dataset, part) for part in name.split("+")]
        found, numbers = shares(pasted(*frames) if len(frames) > 1 else frames[0])
        means += found
        print(f"| {name} | {', '.join(f'{share:.2f}' for share in found)} | {numbers} |", flush=True)
    print(f"\nmean of {len(means)} objects: {np.mean(means):.3f}")


if __name__ == "__main__":
    main()

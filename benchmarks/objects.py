"""How well objects keep their numbers, from the true masks of a dataset laid out as DAVIS.

    python benchmarks/objects.py DATASET [NAME or NAME+NAME ...]

NAME+NAME is the first sequence with the object of the second pasted into it, at 0.6 times its size, crossing from the
right to the left; by default all sequences and all such pairs. What is told is the share of each object's pixels that
carry its number, the one it has the most often and no other object has, and how many numbers were given in all.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from operator import itemgetter
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.evaluate.layout import find_sequences
from isomer.media import Frame, Labels, Segmented, open_frames
from isomer.media.image import read_gray, write_image
from isomer.media.overlay import overlay_objects
from isomer.segment.dataset import find_frame_folders
from isomer.segment.objects.video_objects import track_objects

_SHOWN = (960, 270)
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


def numbered(truth: list[tuple[Frame, Labels]]) -> list[Labels]:
    """Number the objects of frames by their true masks."""
    results = [Segmented.of(frame, np.minimum(labels, 1).astype(np.float32)) for frame, labels in truth]
    return [result.labels for result in track_objects(results) if result.labels is not None]


def counted(truth: list[tuple[Frame, Labels]], found: list[Labels]) -> NDArray[np.int64]:
    """Return, by frame, how many pixels of each true object, 0 to 2, have each number: int64 [T, 3, 256]."""
    counts = np.zeros((len(truth), 3, 256), np.int64)
    for count, labels, (_, objects) in zip(counts, found, truth, strict=True):
        np.add.at(count, (objects, labels), 1)
    return counts


def worst(truth: list[tuple[Frame, Labels]], found: list[Labels], counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Draw the frame in which the most pixels have another number than their object mostly has: true, and found."""
    own = counts.sum(axis=0)[1:, 1:].argmax(axis=1) + 1
    right = counts[:, [1, 2], own].sum(axis=1)
    place = int((counts[:, 1:].sum(axis=(1, 2)) - right).argmax())
    frame, objects = truth[place]
    shown = np.hstack([overlay_objects(frame.image, labels) for labels in (objects, found[place])])
    return cv2.resize(shown, _SHOWN, interpolation=cv2.INTER_AREA).astype(np.uint8)


def shares(counts: NDArray[np.int64]) -> list[float]:
    """Return the share of each object's pixels that carry its number, of those numbers that do best in all."""
    pixels = counts.sum(axis=0)[1:]
    pixels = pixels[pixels.any(axis=1)]
    share = pixels / pixels.sum(axis=1, keepdims=True)
    often = np.argsort(-share[:, 1:].max(axis=0))[: len(share) + 8] + 1
    best = max(permutations(often.tolist(), len(share)), key=lambda one: share[range(len(share)), one].sum())
    return share[range(len(share)), best].tolist()


def identity(counts: NDArray[np.int64]) -> dict[str, float]:
    """Return IDF1 by motmetrics and HOTA by trackeval, of masks that match from an overlap of a half on."""
    import motmetrics
    from trackeval.metrics import HOTA

    events = motmetrics.MOTAccumulator(auto_id=True)
    ids: list[list[NDArray[np.int64]]] = [[], []]
    overlaps = []
    for count in counts:
        union = count.sum(axis=1, keepdims=True) + count.sum(axis=0, keepdims=True) - count
        overlap = count / np.maximum(union, 1)
        objects, numbers = (np.flatnonzero(count.sum(axis=1 - axis)[1:]) + 1 for axis in (0, 1))
        overlaps.append(overlap[np.ix_(objects, numbers)])
        events.update(objects, numbers, np.where(overlaps[-1] >= 0.5, 1 - overlaps[-1], np.nan))
        for known, seen in zip(ids, (objects, numbers), strict=True):
            known.append(seen)
    data = {"similarity_scores": overlaps}
    for name, known in zip(("gt", "tracker"), ids, strict=True):
        _, renumbered = np.unique(np.concatenate(known), return_inverse=True)
        data[f"{name}_ids"] = np.split(renumbered, np.cumsum([len(seen) for seen in known])[:-1])
        data[f"num_{name}_ids"] = int(renumbered.max(initial=-1)) + 1
        data[f"num_{name}_dets"] = len(renumbered)
    score = motmetrics.metrics.create().compute(events, metrics=["idf1"], name="all")
    return {"IDF1": float(score["idf1"].iloc[0]), "HOTA": float(np.mean(HOTA().eval_sequence(data)["HOTA"]))}


def main() -> None:
    """Measure and print the table, and the means over all objects and over all videos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--identity", action="store_true", help="tell IDF1 and HOTA too, by motmetrics and trackeval")
    parser.add_argument("-o", dest="gallery", type=Path, help="draw the worst frames of the eight that fare worst")
    arguments = parser.parse_args()
    folders = find_frame_folders(arguments.dataset)
    means, scores, pictures = [], [], []
    print("| sequence | share | numbers |" + " IDF1 | HOTA |" * arguments.identity)
    print("| --- | --- | --- |" + " --- | --- |" * arguments.identity)
    for name in arguments.names or [*folders, *map("+".join, permutations(folders, 2))]:
        frames = [sequence(arguments.dataset, part) for part in name.split("+")]
        truth = list(pasted(*frames)) if len(frames) > 1 else frames[0]
        labels = numbered(truth)
        counts = counted(truth, labels)
        found = shares(counts)
        means += found
        pictures.append((min(found), worst(truth, labels, counts)))
        row = f"| {name} | {', '.join(f'{share:.2f}' for share in found)} | {counts[:, :, 1:].any(axis=(0, 1)).sum()} |"
        if arguments.identity:
            scores.append(identity(counts))
            row += "".join(f" {score:.2f} |" for score in scores[-1].values())
        print(row, flush=True)
    if arguments.gallery:
        pictures.sort(key=itemgetter(0))
        write_image(arguments.gallery, np.vstack([picture for _, picture in pictures[:8]]))
    print(f"\nmean of {len(means)} objects: {np.mean(means):.3f}")
    for name in scores[0] if scores else ():
        print(f"{name}, mean of {len(scores)} videos: {np.mean([score[name] for score in scores]):.3f}")


if __name__ == "__main__":
    main()

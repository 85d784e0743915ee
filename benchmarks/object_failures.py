"""Where objects lose their numbers: scenes that are drawn so that they do, and a picture of each.

    python benchmarks/object_failures.py -o docs/images/objects_failures.jpg

A row is a scene: three of its frames with the true objects, and below them the numbers that were found. The table says
the share of each object's pixels that carry its number, as that of benchmarks/objects.py does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from objects import counted, numbered, shares

from isomer.media import Frame, Labels
from isomer.media.image import write_image
from isomer.media.overlay import overlay_objects

_WIDTH, _HEIGHT, _COUNT = 320, 192, 48
_SHOWN = (0.15, 0.5, 0.85)
"""Which frames are drawn, as shares of the video."""
_RED, _DARK, _BLUE = (190, 50, 50), (60, 45, 45), (50, 70, 190)
_WALL = (90, 95, 85)
"""What is of this colour is as high as the frame, and no object."""

Place = Callable[[float], "tuple[float, float] | None"]


class Thing(NamedTuple):
    """A textured disc: its colour, its radius, and where its middle is at a share of the video, if it is there."""

    colour: tuple[int, int, int]
    radius: int
    place: Place


SCENES: dict[str, Sequence[Thing]] = {
    "two that touch from the first frame to the last are one": [
        Thing(_RED, 34, lambda t: (110 + 60 * t, 96)),
        Thing(_BLUE, 30, lambda t: (170 + 60 * t, 100)),
    ],
    "one behind a wall that hides more than a third of it, never seen whole, is two": [
        Thing(_RED, 70, lambda t: (140 + 40 * t, 96)),
        Thing(_WALL, 30, lambda t: (160, 96)),
    ],
    "one that comes after another of its looks is taken for that": [
        Thing(_RED, 34, lambda t: (60 + 500 * t, 80) if t < 0.4 else None),
        Thing(_RED, 30, lambda t: (320 - 400 * (t - 0.6), 120) if t > 0.6 else None),
    ],
    "a small one that stays before a large one of its colours is a part of it": [
        Thing(_DARK, 62, lambda t: (150 + 20 * t, 96)),
        Thing(_DARK, 16, lambda t: (200 - 60 * t, 110)),
    ],
}


def drawn(things: Sequence[Thing]) -> list[tuple[Frame, Labels]]:
    """Draw the frames of a scene with their true objects, back to front."""
    background = _textured((120, 125, 115), (_WIDTH, _HEIGHT), 0)
    skins = [_textured(thing.colour, (2 * thing.radius,) * 2, seed) for seed, thing in enumerate(things, start=1)]
    frames = []
    for index in range(_COUNT):
        image, labels = background.copy(), np.zeros((_HEIGHT, _WIDTH), np.uint8)
        for number, (thing, skin) in enumerate(zip(things, skins, strict=True), start=1):
            if (middle := thing.place(index / (_COUNT - 1))) is not None:
                left, top = (side - thing.radius for side in middle)
                move = np.array([[1, 0, left], [0, 1, top]], np.float64)
                moved = cv2.warpAffine(skin, move, (_WIDTH, _HEIGHT))
                disc = np.zeros(skin.shape[:2], np.uint8)
                cv2.circle(disc, (thing.radius,) * 2, thing.radius - 1, 1, -1)
                there = cv2.warpAffine(disc, move, (_WIDTH, _HEIGHT), flags=cv2.INTER_NEAREST) > 0
                if thing.colour == _WALL:
                    there[:] = there.any(axis=0)
                    moved[:], number = _WALL, 0
                image[there], labels[there] = moved[there], number
        frames.append((Frame(index, image, index / 24, f"{index:05d}"), labels))
    return frames


def picture(truth: list[tuple[Frame, Labels]], found: list[Labels]) -> NDArray[np.uint8]:
    """Draw some frames in a row, true objects above, numbers that were found below."""
    places = [round(share * (len(truth) - 1)) for share in _SHOWN]
    rows = [
        np.hstack([overlay_objects(truth[place][0].image, labels[place]) for place in places])
        for labels in ([labels for _, labels in truth], found)
    ]
    small = cv2.resize(np.vstack(rows), None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    return np.asarray(np.pad(small, ((0, 12), (0, 0), (0, 0)), constant_values=255), np.uint8)


def _textured(colour: tuple[int, int, int], size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).integers(-30, 31, (size[1] // 6 + 1, size[0] // 6 + 1, 1))
    coarse = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def main() -> None:
    """Draw the scenes, follow their objects, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", dest="out", type=Path, default=Path("object_failures.png"))
    arguments = parser.parse_args()
    pictures = []
    print("| scene | share | numbers |\n| --- | --- | --- |")
    for name, things in SCENES.items():
        truth = drawn(things)
        found = numbered(truth)
        counts = counted(truth, found)
        said = ", ".join(f"{share:.2f}" for share in shares(counts))
        print(f"| {name} | {said} | {counts[:, :, 1:].any(axis=(0, 1)).sum()} |", flush=True)
        pictures.append(picture(truth, found))
    write_image(arguments.out, np.vstack(pictures))


if __name__ == "__main__":
    main()

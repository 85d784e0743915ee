"""Textured boxes that move, so that it is known who is who, and a back end that finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media import Segmented

WIDTH, HEIGHT = 320, 192
RED, BLUE = (200, 30, 40), (30, 60, 200)

Place = Callable[[int], "tuple[int, int] | None"]


class Thing:
    """A textured box whose top left corner is at `place(t)`, if it is there at all."""

    def __init__(self, colour: tuple[int, int, int], size: tuple[int, int], place: Place) -> None:
        width, height = size
        noise = np.random.default_rng(sum(colour)).integers(-25, 26, (height // 4 + 1, width // 4 + 1, 3))
        coarse = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
        self.skin = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
        self.place = place


def drawn(
    things: Sequence[Thing], count: int, posts: Sequence[int] = ()
) -> Iterator[tuple[Segmented, NDArray[np.uint8]]]:
    """Frames with their true objects, from 1, back to front; posts, 16 pixels wide, stand before all."""
    coarse = np.random.default_rng(0).integers(60, 190, (HEIGHT // 8, WIDTH // 8, 1)).repeat(3, axis=2).astype(np.uint8)
    background = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for t in range(count):
        image, truth = background.copy(), np.zeros((HEIGHT, WIDTH), np.uint8)
        for number, thing in enumerate(things, start=1):
            if (corner := thing.place(t)) is not None:
                height, width = thing.skin.shape[:2]
                left, top = max(corner[0], 0), max(corner[1], 0)
                right, bottom = min(corner[0] + width, WIDTH), min(corner[1] + height, HEIGHT)
                if left < right and top < bottom:
                    shown = thing.skin[top - corner[1] : bottom - corner[1], left - corner[0] : right - corner[0]]
                    image[top:bottom, left:right] = shown
                    truth[top:bottom, left:right] = number
        for post in posts:
            image[:, post : post + 16] = 20
            truth[:, post : post + 16] = 0
        yield Segmented(t, image, t / 24, f"{t:05d}", probability=(truth > 0).astype(np.float32)), truth


class Colourful:
    """A back end that finds what is not gray."""

    stride, workers = 32, 1

    def start(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        spread = frames.max(axis=-1).astype(np.float32) - frames.min(axis=-1)
        return lambda: np.clip((spread - 40) / 80, 0, 1)


THINGS = [
    Thing(RED, (90, 90), lambda t: (20, 10)),
    Thing(BLUE, (40, 40), lambda t: (140 + t, 80)),
    Thing((40, 190, 60), (30, 30), lambda t: (260, 150) if t > 9 else None),
]

"""Maps of key frames averaged with their neighbours', against pictures whose flow is known."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.data.synthetic.clip import SceneFrames
from isomer.data.synthetic.drawn import draw_scene
from isomer.model.network import Isomer
from isomer.segment import Segmenter
from isomer.segment.links import Link, Span
from isomer.segment.smoothing import smooth

SHAPE = (40, 60)


class Key(NamedTuple):
    span: Span | None


def link(x: float = 0.0, trust: float = 1.0, grid: int = 1) -> Link:
    """A flow by `x` pixels of the map, on a grid `grid` times as coarse."""
    shape = (SHAPE[0] // grid, SHAPE[1] // grid)
    return Link(np.full((*shape, 2), (x / grid, 0), np.float32), np.full(shape, trust, np.float32))


def span(forth: Link, back: Link) -> Span:
    return Span(forth, back, [])


def constant(value: float) -> NDArray[np.float32]:
    return np.full(SHAPE, value, np.float32)


def smoothed(keys: list[tuple[Span | None, NDArray[np.float32]]], weight: float) -> list[NDArray[np.float32]]:
    return [probability for _, probability in smooth([(Key(span), p) for span, p in keys], weight)]


def test_the_mean_of_three_where_all_are_trusted() -> None:
    still = span(link(), link())
    keys = [(None, constant(0.2)), (still, constant(0.8)), (still, constant(0.5))]
    found = smoothed(keys, 1)
    for probability, expected in zip(found, (0.5, 0.5, 0.65), strict=True):
        np.testing.assert_allclose(probability, expected, atol=1e-6)
        assert probability.dtype == np.float32


@pytest.mark.parametrize(("grid", "softened"), [(1, 1e-5), (2, 0.02)])
def test_maps_follow_what_moves(grid: int, softened: float) -> None:
    """All shifts by 4 pixels from key to key; an object that is found in the middle one alone."""
    moving = span(link(4, grid=grid), link(-4, grid=grid))
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    seen = np.exp(-((rows - 15) ** 2 + (columns - 29) ** 2) / 50).astype(np.float32)
    first, middle, last = smoothed([(None, constant(0)), (moving, seen), (moving, constant(0))], 0.5)
    inner = (slice(5, 35), slice(10, 50))
    np.testing.assert_allclose(first[inner], np.roll(seen, -4, axis=1)[inner] / 3, atol=softened)
    np.testing.assert_allclose(middle[inner], seen[inner] / 2, atol=1e-5)  # its neighbours saw nothing
    np.testing.assert_allclose(last[inner], np.roll(seen, 4, axis=1)[inner] / 3, atol=softened)


def test_trust_is_the_weight() -> None:
    doubted = span(link(trust=0), link(trust=0.25))
    first, second = smoothed([(None, constant(0)), (doubted, constant(1))], 2)
    np.testing.assert_allclose(first, 0)
    np.testing.assert_allclose(second, 1 / 1.5, atol=1e-6)


def test_nothing_crosses_a_cut() -> None:
    still = span(link(), link())
    keys = [(None, constant(0)), (still, constant(0)), (None, constant(1)), (still, constant(1))]
    np.testing.assert_array_equal(smoothed(keys, 3), [p for _, p in keys])


def test_no_key_frame_is_held_while_the_one_after_the_next_is_awaited() -> None:
    """Key frames bring along the frames between, which fill the memory where they are large."""

    class Held:
        span = span(link(), link())

    held: list[weakref.ref[Held]] = []
    alive: list[list[bool]] = []

    def keys() -> Iterator[tuple[Held, NDArray[np.float32]]]:
        for _ in range(4):
            alive.append([one() is not None for one in held])
            key = Held()
            held.append(weakref.ref(key))
            yield key, constant(0.5)
            del key

    for key, _ in smooth(keys(), 1):
        del key
    assert alive == [[], [True], [False, True], [False, False, True]]


def test_without_frames_there_is_nothing() -> None:
    assert smoothed([], 1) == []


def test_segmenter_s_maps_change_less(network: Isomer) -> None:
    frames = list(SceneFrames(draw_scene(np.random.default_rng(0), (128, 96)), 8))

    def change(smoothing: float) -> float:
        segmenter = Segmenter(network, size=96, device="cpu", key_interval=1, smoothing=smoothing)
        maps = [result.probability for result in segmenter(frames)]
        assert len(maps) == 8
        return float(np.mean([np.abs(a - b).mean() for a, b in pairwise(maps)]))

    assert change(1) < 0.8 * change(0)

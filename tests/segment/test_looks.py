"""What is taken out of maps, on pictures of one colour a thing, and the regression against least squares."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.segment.looks import _CELLS, _FEW, _RIDGE, Looks, _Regression, _Sample, without

CELL = 4
GRID = (10, 16)
SHAPE = (GRID[0] * CELL, GRID[1] * CELL)
STILL = np.zeros((*SHAPE, 2), np.float32)

Box = tuple[int, int, int, int]  # rows, columns: from, to, in cells
OBJECT: Box = (2, 6, 1, 5)
INTRUDER: Box = (1, 9, 7, 15)
SPECK: Box = (8, 9, 1, 2)


def boxed(values: NDArray[np.float32], box: Box, scale: int = 1) -> NDArray[np.float32]:
    top, bottom, left, right = (side * scale for side in box)
    return values[top:bottom, left:right]


def judged(frames: list[dict[Box, float]], flow: NDArray[np.float32] | None = STILL) -> list[NDArray[np.float32]]:
    """Return the maps of frames, each with its boxes and how these look: 1 as an object, -1 as what is around it."""
    random = np.random.default_rng(0)
    looks, maps = Looks(), []
    for number, boxes in enumerate(frames):
        probability, look = np.full(SHAPE, 0.05, np.float32), np.full((*GRID, 1), -1, np.float32)
        for box, value in boxes.items():
            boxed(probability, box, CELL)[:] = 0.95
            boxed(look, box)[:] = value
        noise = random.normal(0, 0.1, (*GRID, 2))
        looks.add(probability, np.concatenate([look, noise], 2).astype(np.float32), flow if number else None)
        maps.append(probability)
    return [without(*judgement) for judgement in zip(maps, looks.verdicts(), strict=True)]


def kept(probability: NDArray[np.float32], box: Box) -> bool:
    return bool((boxed(probability, box, CELL) > 0.5).all())


def test_who_walks_through_the_picture_is_taken_out() -> None:
    frames = [{OBJECT: 1.0}] * 20 + [{OBJECT: 1.0, INTRUDER: -1.0}] * 3 + [{INTRUDER: -1.0, SPECK: 1.0}] * 3
    frames += [{OBJECT: 1.0}] * 20
    for boxes, probability in zip(frames, judged(frames), strict=True):
        assert kept(probability, OBJECT) == (OBJECT in boxes)
        assert boxed(probability, INTRUDER, CELL).max() < 0.5
        assert (probability.max() < 0.5) == (OBJECT not in boxes), "a speck goes with what is large"


def test_small_parts_beside_the_object_are_not_judged() -> None:
    frames = [{OBJECT: 1.0, SPECK: -1.0}] * 20
    assert all(kept(probability, SPECK) for probability in judged(frames))


@pytest.mark.parametrize(("flow", "is_kept"), [(STILL, True), (None, False)])
def test_an_object_that_looks_another_way_for_a_while_stays_where_it_can_be_followed(
    flow: NDArray[np.float32] | None, is_kept: bool
) -> None:
    frames = [{OBJECT: 1.0}] * 20 + [{OBJECT: -1.0}] * 3 + [{OBJECT: 1.0}] * 20
    found = judged(frames, flow)
    assert [kept(probability, OBJECT) for probability in found] == [True] * 20 + [is_kept] * 3 + [True] * 20


@pytest.mark.parametrize("frames", [[{}] * 4, [{OBJECT: 1.0}], [{OBJECT: 1.0}] * 2, [{(0, 10, 0, 16): 1.0}] * 6])
def test_nothing_is_taken_out_where_nothing_is_to_be_compared(frames: list[dict[Box, float]]) -> None:
    for boxes, probability in zip(frames, judged(frames), strict=True):
        assert all(kept(probability, box) for box in boxes)


def test_the_regression_is_least_squares_on_what_is_left() -> None:
    random = np.random.default_rng(0)

    def cells(count: int, shift: float) -> NDArray[np.float32]:
        return np.hstack([random.normal(shift, 2, (count, 5)), np.ones((count, 1))]).astype(np.float32)

    sizes = [(_CELLS, _CELLS), (_FEW // 3, _CELLS), (0, 40), (_FEW, 50)]
    samples = [_Sample(cells(thing, 1.0), cells(rest, 0.0)) for thing, rest in sizes]
    found = _Regression(samples).without(samples[:1])

    everything = np.concatenate([np.concatenate(sample) for sample in samples]).astype(float)
    mean, scale = everything.mean(0), everything.std(0)
    mean[-1], scale[-1] = 0, 1
    rows, targets = [], []
    for kind, target in ((0, 1.0), (1, -1.0)):
        left = [sample[kind] for sample in samples[1:] if len(sample[kind])]
        shares = [min(len(frame) / _FEW, 1) for frame in left]
        for frame, share in zip(left, shares, strict=True):
            root = np.sqrt(share / len(frame) / sum(shares))
            rows.append((frame - mean) / scale * root)
            targets.append(np.full(len(frame), target * root))
    rows.append(np.sqrt(2 * _RIDGE) * np.eye(6)[:5])
    targets.append(np.zeros(5))
    expected = np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0]
    thing = samples[3].object
    np.testing.assert_allclose(thing @ found, (thing - mean) / scale @ expected, atol=1e-4)

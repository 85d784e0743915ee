"""Maps averaged along the flow, against moving pictures whose flow is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from isomer.data.clip import SceneFrames
from isomer.data.drawing import draw_scene
from isomer.model.network import Isomer
from isomer.segment import Segmenter
from isomer.segment.smoothing import FlowSmoother

SHAPE = (40, 60)


def picture(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)


def flow(x: float, y: float = 0.0) -> NDArray[np.float32]:
    return np.full((*SHAPE, 2), (x, y), np.float32)


def test_a_map_follows_what_moves() -> None:
    """The picture shifts by 3 pixels; the object is found in the first frame alone."""
    smooth, image = FlowSmoother(0.5), picture()
    first = np.zeros(SHAPE, np.float32)
    first[10:20, 30:40] = 1
    smooth(image, first, None)
    found = smooth(np.roll(image, 3, axis=1), np.zeros(SHAPE, np.float32), flow(-3))
    expected = np.roll(first, 3, axis=1) * 0.5
    np.testing.assert_allclose(found[5:35, 10:50], expected[5:35, 10:50], atol=1e-4)


def test_coarse_flow_is_in_pixels_of_its_own_grid() -> None:
    smooth, image = FlowSmoother(0.5), picture()
    first = np.random.default_rng(1).random(SHAPE).astype(np.float32)
    smooth(image, first, None)
    coarse = np.full((SHAPE[0] // 2, SHAPE[1] // 2, 2), (-2, 0), np.float32)
    found = smooth(np.roll(image, 4, axis=1), np.zeros(SHAPE, np.float32), coarse)
    np.testing.assert_allclose(found[:, 8:-8], np.roll(first, 4, axis=1)[:, 8:-8] * 0.5, atol=1e-4)


def test_where_the_flow_is_wrong_the_new_map_stays() -> None:
    smooth = FlowSmoother(0.8)
    smooth(picture(0), np.ones(SHAPE, np.float32), None)
    found = smooth(picture(1), np.zeros(SHAPE, np.float32), flow(0))
    assert found.max() < 0.02


def test_nothing_crosses_a_cut() -> None:
    smooth, image = FlowSmoother(0.8), picture()
    smooth(image, np.ones(SHAPE, np.float32), None)
    assert (smooth(image, np.zeros(SHAPE, np.float32), None) == 0).all()


def test_a_still_scene_s_noise_is_averaged_out() -> None:
    """Of independent noise, a recursive average with share a leaves (1 - a) / (1 + a) of the variance."""
    rng, smooth, image = np.random.default_rng(0), FlowSmoother(0.6), picture()
    last = [smooth(image, rng.random(SHAPE).astype(np.float32), flow(0)) for _ in range(30)][-1]
    assert abs(last.var() / (1 / 12) - 0.25) < 0.03


def test_segmenter_s_maps_change_less(network: Isomer) -> None:
    frames = list(SceneFrames(draw_scene(np.random.default_rng(0), (128, 96)), 8))

    def change(smoothing: float) -> float:
        maps = [p for _, p in Segmenter(network, size=96, device="cpu", smoothing=smoothing)(frames)]
        return float(np.mean([np.abs(a - b).mean() for a, b in pairwise(maps)]))

    assert change(0.6) < 0.8 * change(0.0)

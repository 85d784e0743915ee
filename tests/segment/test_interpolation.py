"""Maps between key frames, against motion that is known and against a loop over pixels."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.data.clip import SceneFrames
from isomer.data.drawing import draw_scene
from isomer.flow import DISFlow, moving_frames
from isomer.media import Frame
from isomer.metrics import RegionSimilarity
from isomer.model.network import Isomer
from isomer.segment import Segmenter
from isomer.segment.interpolation import Between, KeyFrameFlow, interpolate
from isomer.segment.warp import lookup, moved

SHAPE = (24, 40)


def frame(index: int, image: NDArray[np.uint8]) -> Frame:
    return Frame(index, image, index / 24, f"{index:05d}")


def between(share: float, to_before: tuple[float, float], to_after: tuple[float, float]) -> Between:
    flows = [np.full((*SHAPE, 2), vector, np.float32) for vector in (to_before, to_after)]
    return Between(frame(1, np.zeros((*SHAPE, 3), np.uint8)), share, flows[0], flows[1], flows[0])


def bilinear(values: NDArray[np.float32], x: float, y: float) -> float:
    """Look a value up between pixels, which go on beyond the border."""
    left, top = int(np.floor(x)), int(np.floor(y))
    total = 0.0
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        weight = (1 - abs(x - column)) * (1 - abs(y - row))
        total += weight * float(values[np.clip(row, 0, SHAPE[0] - 1), np.clip(column, 0, SHAPE[1] - 1)])
    return total


def test_lookup_equals_a_loop_over_pixels() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(SHAPE).astype(np.float32)
    flow = rng.uniform(-9, 9, (*SHAPE, 2)).astype(np.float32)
    found = moved(values, lookup(flow, *SHAPE))
    for row, column in np.ndindex(SHAPE):
        x, y = flow[row, column] + (column, row)
        assert found[row, column] == pytest.approx(bilinear(values, float(x), float(y)), abs=0.02)  # OpenCV: 1/32 pixel


def test_coarse_flow_is_in_pixels_of_its_own_grid() -> None:
    coarse = np.full((SHAPE[0] // 4, SHAPE[1] // 4, 2), (0.5, -0.25), np.float32)
    grid = np.stack(np.meshgrid(np.arange(SHAPE[1]), np.arange(SHAPE[0])), -1)
    np.testing.assert_allclose(lookup(coarse, *SHAPE) - grid, np.full((*SHAPE, 2), (2, -1)), atol=1e-5)


def test_what_moves_evenly_is_where_it_should_be() -> None:
    """An object goes 8 pixels to the right from key frame to key frame; a quarter of the way it has gone 2."""
    maps = []
    for x in (10, 18, 12):
        maps.append(np.zeros(SHAPE, np.float32))
        maps[-1][8:14, x : x + 6] = 1
    before, after, expected = maps
    found = interpolate(before, after, between(0.25, (-2, 0), (6, 0)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_maps_that_differ_are_weighted_by_their_nearness() -> None:
    still = between(0.25, (0, 0), (0, 0))
    found = interpolate(np.full(SHAPE, 0.2, np.float32), np.full(SHAPE, 1.0, np.float32), still)
    np.testing.assert_allclose(found, 0.4, atol=1e-6)
    assert found.dtype == np.float32


def test_flow_leads_to_both_key_frames() -> None:
    wide = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (96, 200, 3), dtype=np.uint8), (0, 0), 2)
    frames = [frame(i, np.ascontiguousarray(wide[:, 4 * i : 4 * i + 160])) for i in range(5)]  # all goes left
    found = KeyFrameFlow()(frames[0], frames[1:4], frames[4])
    assert [item.frame.index for item in found] == [1, 2, 3]
    assert [item.share for item in found] == [0.25, 0.5, 0.75]
    for passed, item in enumerate(found, 1):
        for flow, expected in ((item.to_before, 4 * passed), (item.to_after, 4 * passed - 16), (item.back, 4)):
            assert np.median(flow[..., 0]) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("batch", [1, 3])
def test_the_segmenter_interpolates_between_its_own_maps(network: Isomer, batch: int) -> None:
    frames = list(SceneFrames(draw_scene(np.random.default_rng(0), (128, 96)), 14))
    found = dict(Segmenter(network, size=96, device="cpu", batch=batch, key_interval=4)(frames))
    assert list(found) == list(range(14))
    keys = [m.frame.index for m in moving_frames(frames, DISFlow(), key_interval=4) if m.flows]
    assert 4 < len(keys) < 14
    for before, after in pairwise(keys):
        for item in KeyFrameFlow()(frames[before], frames[before + 1 : after], frames[after]):
            expected = interpolate(found[before], found[after], item)
            assert np.abs(found[item.frame.index] - expected).mean() < 0.002  # which is at another resolution
            assert np.abs(found[item.frame.index] - found[before]).mean() > 0.004


def test_every_frame_is_seen_where_that_is_asked_for(network: Isomer) -> None:
    frames = list(SceneFrames(draw_scene(np.random.default_rng(0), (128, 96)), 9))
    segmenter = Segmenter(network, size=96, device="cpu", key_interval=1)
    seen = 0
    run = segmenter._backend.start

    def counted(*inputs: NDArray[np.uint8]) -> object:
        nonlocal seen
        seen += len(inputs[0])
        return run(*inputs)

    segmenter._backend.start = counted  # type: ignore[method-assign, assignment]
    assert len(list(segmenter(frames))) == seen == 9


def test_interpolated_masks_are_as_good_as_the_networks_own() -> None:
    frames = SceneFrames(draw_scene(np.random.default_rng(0), (428, 240)), 13)
    masks = [mask for _, mask in frames.with_masks()]
    means = []
    for interval in (1, 4):
        similarity = RegionSimilarity()
        for index, probability in Segmenter(backend="torch", device="cpu", size=224, key_interval=interval)(frames):
            similarity.step(np.rint(255 * probability).astype(np.uint8), masks[index])
        means.append(similarity.result().mean)
    assert means[1] > 0.7
    assert means[1] > means[0] - 0.02

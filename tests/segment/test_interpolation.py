"""Maps between key frames, against motion that is known and against a loop over pixels."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.data.synthetic.clip import SceneFrames
from isomer.data.synthetic.drawn import draw_scene
from isomer.flow import DISFlow, moving_frames
from isomer.media import Frame
from isomer.metrics import RegionSimilarity
from isomer.model.network import Isomer
from isomer.segment import Segmenter
from isomer.segment.interpolation import interpolate
from isomer.segment.links import Between, KeyFrameLinks, Link
from isomer.segment.warp import moved, resize_map

SHAPE = (24, 40)


def frame(index: int, image: NDArray[np.uint8]) -> Frame:
    return Frame(index, image, index / 24, f"{index:05d}")


def between(
    share: float, to_before: tuple[float, float], to_after: tuple[float, float], trust: tuple[float, float] = (1, 1)
) -> Between:
    links = [
        Link(np.full((*SHAPE, 2), vector, np.float32), np.full(SHAPE, value, np.float32))
        for vector, value in zip((to_before, to_after), trust, strict=True)
    ]
    return Between(frame(1, np.zeros((*SHAPE, 3), np.uint8)), share, *links)


def interpolated(before: NDArray[np.float32], after: NDArray[np.float32], item: Between) -> NDArray[np.float32]:
    [(passed, found)] = interpolate(before, after, [item])
    assert passed is item.frame
    return found


def bilinear(values: NDArray[np.float32], x: float, y: float) -> float:
    """Look a value up between pixels, which go on beyond the border."""
    left, top = int(np.floor(x)), int(np.floor(y))
    total = 0.0
    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        weight = (1 - abs(x - column)) * (1 - abs(y - row))
        total += weight * float(values[np.clip(row, 0, SHAPE[0] - 1), np.clip(column, 0, SHAPE[1] - 1)])
    return total


def test_moved_equals_a_loop_over_pixels() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(SHAPE).astype(np.float32)
    flow = rng.uniform(-9, 9, (*SHAPE, 2)).astype(np.float32)
    found = moved(values, flow)
    for row, column in np.ndindex(SHAPE):
        x, y = flow[row, column] + (column, row)
        assert found[row, column] == pytest.approx(bilinear(values, float(x), float(y)), abs=0.02)  # OpenCV: 1/32 pixel


def test_what_moves_evenly_is_where_it_should_be() -> None:
    """An object goes 8 pixels to the right from key frame to key frame; a quarter of the way it has gone 2."""
    maps = []
    for x in (10, 18, 12):
        maps.append(np.zeros(SHAPE, np.float32))
        maps[-1][8:14, x : x + 6] = 1
    before, after, expected = maps
    found = interpolated(before, after, between(0.25, (-2, 0), (6, 0)))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_maps_that_differ_are_weighted_by_their_nearness() -> None:
    still = between(0.25, (0, 0), (0, 0))
    found = interpolated(np.full(SHAPE, 0.2, np.float32), np.full(SHAPE, 1.0, np.float32), still)
    np.testing.assert_allclose(found, 0.4, atol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("factor", [0.5, 3])
def test_maps_of_any_size_are_interpolated_at_that_of_the_flow(factor: float) -> None:
    found = np.full((round(factor * SHAPE[0]), round(factor * SHAPE[1])), 0.3, np.float32)
    moving = interpolated(found, found, between(0.5, (-3, 1), (3, -1)))
    np.testing.assert_allclose(moving, np.full(SHAPE, 0.3), atol=1e-6)


def test_nothing_between_is_nothing_to_interpolate() -> None:
    assert not list(interpolate(np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32), []))


@pytest.mark.parametrize(
    ("trust", "expected"), [((1, 0.5), 0.2 + 0.8 / 7), ((0, 1), 1.0), ((1, 0), 0.2), ((0, 0), 0.4)]
)
def test_maps_that_differ_are_weighted_by_trust_too(trust: tuple[float, float], expected: float) -> None:
    still = between(0.25, (0, 0), (0, 0), trust)
    found = interpolated(np.full(SHAPE, 0.2, np.float32), np.full(SHAPE, 1.0, np.float32), still)
    np.testing.assert_allclose(found, expected, atol=4e-3)


def panning(count: int) -> list[Frame]:
    """All goes left by 2 pixels a frame."""
    wide = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (96, 200, 3), dtype=np.uint8), (0, 0), 2)
    return [frame(i, np.ascontiguousarray(wide[:, 2 * i : 2 * i + 160])) for i in range(count)]


def test_flow_leads_to_both_key_frames() -> None:
    frames, links = panning(5), KeyFrameLinks(size=320)
    assert links([], frames[0], opens_shot=True) is None
    span = links(frames[1:4], frames[4], opens_shot=False)
    assert span
    assert [item.frame.index for item in span.between] == [1, 2, 3]
    assert [item.share for item in span.between] == [0.25, 0.5, 0.75]
    expected = [(span.forth, -8), (span.back, 8)]
    for passed, item in enumerate(span.between, 1):
        expected += [(item.to_before, 2 * passed), (item.to_after, 2 * passed - 8)]
    for link, x in expected:
        assert np.median(link.flow[..., 0]) == pytest.approx(x, abs=0.2)


def test_trust_is_high_where_frames_agree_and_low_where_they_do_not() -> None:
    frames, links = panning(2), KeyFrameLinks(size=320)
    links([], frames[0], opens_shot=True)
    agreeing = links([], frames[1], opens_shot=False)
    other = frame(2, 255 - frames[1].image // 2)
    foreign = links([], other, opens_shot=False)
    assert agreeing
    assert foreign
    assert np.median(agreeing.back.trust) > 0.95
    assert np.median(foreign.back.trust) < 0.3
    assert 0 <= foreign.back.trust.min() <= agreeing.back.trust.max() <= 1


def test_nothing_links_two_shots() -> None:
    frames, links = panning(3), KeyFrameLinks(size=320)
    links([], frames[0], opens_shot=True)
    assert links([], frames[1], opens_shot=True) is None
    assert links([], frames[2], opens_shot=False) is not None


@pytest.mark.parametrize("batch", [1, 3])
def test_the_segmenter_interpolates_between_its_own_maps(network: Isomer, batch: int) -> None:
    frames = list(SceneFrames(draw_scene(np.random.default_rng(0), (128, 96)), 14))
    results = list(Segmenter(network, size=96, device="cpu", batch=batch, key_interval=4, edges="map")(frames))
    assert [result.index for result in results] == list(range(14))
    found = [result.probability for result in results]
    keys = [m.frame.index for m in moving_frames(frames, DISFlow(), key_interval=4) if m.flows]
    assert 4 < len(keys) < 14
    links = KeyFrameLinks(size=96)
    links([], frames[0], opens_shot=True)
    for before, after in pairwise(keys):
        span = links(frames[before + 1 : after], frames[after], opens_shot=False)
        assert span
        for item in span.between:
            expected = resize_map(interpolated(found[before], found[after], item), 96, 128)
            assert np.abs(found[item.frame.index] - expected).mean() < 0.002  # which is at another resolution
            assert np.abs(found[item.frame.index] - found[before]).mean() > 0.001


def test_every_frame_is_seen_where_that_is_asked_for(network: Isomer) -> None:
    frames = list(SceneFrames(draw_scene(np.random.default_rng(0), (128, 96)), 9))
    segmenter = Segmenter(network, size=96, device="cpu", key_interval=1, edges="map")
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
        for result in Segmenter(backend="torch", device="cpu", size=224, key_interval=interval)(frames):
            similarity.step(np.rint(255 * result.probability).astype(np.uint8), masks[result.index])
        means.append(similarity.result().mean)
    assert means[1] > 0.7
    assert means[1] > means[0] - 0.02

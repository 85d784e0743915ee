from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.data.synthetic.edges import KINDS, draw_edge_scene
from isomer.flow import DISFlow
from isomer.media import Frame, Segmented
from isomer.metrics.matting import SAD
from isomer.segment.edges import border, stream
from isomer.segment.edges.border import Border
from isomer.segment.edges.guided import LocalColours, predicted

Plane = NDArray[np.float32]


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def soft(alpha: Plane, cell: int = 8) -> Plane:
    """What a network makes of a matte: right, but coarse."""
    small = cv2.resize(alpha, None, fx=1 / cell, fy=1 / cell, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, alpha.shape[::-1]), np.float32)


def test_the_fit_is_that_of_least_squares_in_each_window() -> None:
    """The oracle: linear regression with a penalty, window by window."""
    image, values = noise(14, 15), np.random.default_rng(1).random((14, 15)).astype(np.float32)
    radius, variance = 2, 1e-3
    colours = LocalColours(image, radius, variance)
    padded = np.pad(image / 255 - 0.5, ((radius,) * 2, (radius,) * 2, (0, 0)), "reflect")
    padded_values = np.pad(values, radius, "reflect")
    side = 2 * radius + 1
    fits = np.empty((14, 15, 4))
    for y in range(14):
        for x in range(15):
            seen = padded[y : y + side, x : x + side].reshape(-1, 3)
            said = padded_values[y : y + side, x : x + side].ravel()
            covariance = np.cov(seen.T, bias=True) + variance * np.eye(3)
            slopes = np.linalg.solve(covariance, ((seen - seen.mean(0)) * (said - said.mean())[:, None]).mean(0))
            fits[y, x] = (*slopes, said.mean() - slopes @ seen.mean(0))
    expected = cv2.blur(fits, (side, side), borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_allclose(np.stack(colours.fit(values), -1), expected, atol=2e-4)


def test_a_function_of_colour_is_its_own_fit() -> None:
    image = noise(40, 50)
    values = np.asarray(image @ np.array([0.5, -0.2, 0.3]) / 255 + 0.1, np.float32)
    found = LocalColours(image, 4, 1e-6).filter(values)
    np.testing.assert_allclose(found, values, atol=1e-3)


def test_the_solution_is_that_of_the_linear_system() -> None:
    """The oracle: the matrix of the energy, a column a pixel, solved directly."""
    image = noise(9, 10)
    rng = np.random.default_rng(2)
    said = np.asarray(rng.random((9, 10)), np.float32)
    hold = np.asarray(rng.uniform(0.2, 1, (9, 10)), np.float32)
    colours = LocalColours(image, 1, 0.05)
    units = np.eye(90, dtype=np.float32).reshape(90, 9, 10)
    smoothness = np.stack([(unit - colours.filter(unit)).ravel() for unit in units], 1)
    inner = np.ix_(range(90), range(90))
    expected = np.linalg.solve(smoothness[inner] + np.diag(hold.ravel()), (hold * said).ravel()).reshape(9, 10)
    found = border._solved(colours, said, hold, steps=60)
    np.testing.assert_allclose(found[2:-2, 2:-2], np.clip(expected, 0, 1)[2:-2, 2:-2], atol=0.02)


@pytest.mark.parametrize("size", [(96, 160), (241, 427), (480, 853)])
def test_a_border_that_is_off_comes_back_to_the_picture(size: tuple[int, int]) -> None:
    height, width = size
    disc = np.zeros(size, np.float32)
    cv2.circle(disc, (width // 2, height // 2), height // 3, 1, -1)
    image = np.where(disc[..., None] > 0, np.array((200, 60, 40), np.uint8), np.array((40, 90, 160), np.uint8))
    image = np.asarray(image + noise(*size) % 8, np.uint8)
    off = soft(np.roll(disc, max(2, height // 120), axis=1))
    before = np.mean((off >= 0.5) != (disc > 0))
    for found in (Border(image, off).refined(), Border(image, off).opacity()):
        assert found.dtype == np.float32
        assert found.shape == size
        assert found.min() >= 0
        assert found.max() <= 1
        assert np.mean((found >= 0.5) != (disc > 0)) < 0.35 * before


def test_what_is_certain_stays() -> None:
    probability = np.zeros((64, 96), np.float32)
    assert np.array_equal(Border(noise(64, 96), probability).refined(), probability)
    assert not Border(noise(64, 96), probability).opacity().any()
    probability[:, 48:] = 1
    found = Border(noise(64, 96), probability).refined()
    assert np.array_equal(found[:, :20], probability[:, :20])
    assert np.array_equal(found[:, 76:], probability[:, 76:])


def test_specks_are_dropped_and_small_holes_closed() -> None:
    probability = np.zeros((240, 320), np.float32)
    probability[60:180, 80:240] = 1
    probability[118:122, 158:162] = 0
    probability[20:24, 20:24] = 0.9
    alpha = Border(np.full((240, 320, 3), 128, np.uint8), probability).opacity()
    assert alpha[112:128, 152:168].min() > 0.9
    assert alpha[10:34, 10:34].max() < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_matte_is_nearer_to_the_truth_than_the_map(kind: str) -> None:
    scene = draw_edge_scene(np.random.default_rng(4), kind, (427, 240))
    exposed = scene.expose(3)
    probability = soft(exposed.alpha)
    region = cv2.dilate(((exposed.alpha > 0.02) & (exposed.alpha < 0.98)).view(np.uint8), np.ones((11, 11))) > 0
    ramp = np.clip(2 * probability - np.float32(0.5), 0, 1)
    errors = []
    for alpha in (ramp, Border(exposed.image, probability).opacity()):
        measure = SAD()
        measure.step(alpha, exposed.alpha, region)
        errors.append(measure.result())
    assert errors[1] < 0.75 * errors[0]


def test_opacity_is_averaged_along_the_flow_where_frames_look_alike() -> None:
    image = noise(60, 80)
    moved = np.roll(image, 3, axis=1)
    alpha = np.zeros((60, 80), np.float32)
    alpha[:, 30:50] = 0.9
    flow = np.full((30, 40, 2), (-1.5, 0), np.float32)  # half the size: three pixels of the frame's
    steady = stream.Steadied()
    assert np.array_equal(steady(image, alpha, None), alpha)
    found = steady(moved, np.zeros_like(alpha), flow)
    np.testing.assert_allclose(found[:, 35:51], 0.9 * 0.8 / 1.8, atol=0.01)
    assert found[:, :30].max() == 0
    assert np.array_equal(steady(noise(60, 80, 9), alpha, None), alpha)


def test_the_stream_adds_what_is_asked_for() -> None:
    exposed = [draw_edge_scene(np.random.default_rng(1), "defocus", (214, 120)).expose(t) for t in range(3)]
    given = []
    for index, (image, alpha, _) in enumerate(exposed):
        step = DISFlow().between(image, exposed[index - 1].image) if index else None
        given.append((Segmented.of(Frame(index, image, index / 24, str(index)), soft(alpha)), step))
    assert [result for result, _ in stream.with_edges(given, "map")] == [result for result, _ in given]
    refined = [result for result, _ in stream.with_edges(given, "refined")]
    matte = [result for result, _ in stream.with_edges(given, "matte")]
    for (before, _), one, other in zip(given, refined, matte, strict=True):
        assert one.alpha is None
        assert other.alpha is not None
        assert np.array_equal(one.probability, other.probability)
        assert not np.array_equal(one.probability, before.probability)
        assert one.name == other.name == before.name
    part = [result for result, _ in stream.with_edges(given[1:], "matte")]
    assert np.array_equal(part[1].alpha, matte[2].alpha)  # a part of a video has what the whole has


def test_predicted_is_the_sum() -> None:
    planes = [np.full((2, 3), value, np.float32) for value in (1, 2, 3, 4)]
    colours = [np.full((2, 3), value, np.float32) for value in (0.1, 0.2, 0.3)]
    np.testing.assert_allclose(predicted(planes, colours), 0.1 + 0.4 + 0.9 + 4)

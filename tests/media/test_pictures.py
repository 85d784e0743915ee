from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.data.synthetic.edges import KINDS, draw_edge_scene
from isomer.media import Frame, Look, Segmented, pictures
from isomer.media.foreground import estimate_foreground

Image = NDArray[np.uint8]


def result(mask: NDArray[np.bool_], labels: Image | None = None, alpha: NDArray[np.float32] | None = None) -> Segmented:
    image = np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    return Segmented.of(Frame(0, image, 0, "0"), mask.astype(np.float32), labels, alpha)


def square(size: int = 64, low: int = 20, high: int = 44) -> NDArray[np.bool_]:
    mask = np.zeros((size, size), bool)
    mask[low:high, low:high] = True
    return mask


def distance(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far each pixel is from the nearest of a mask, by brute force."""
    inside = np.argwhere(mask)
    y, x = np.indices(mask.shape)
    return np.sqrt(((np.stack([y, x], -1)[:, :, None] - inside) ** 2).sum(-1).min(-1))


def test_grow_and_shrink_are_by_distance() -> None:
    mask = square()
    grown = pictures.mask(result(mask), Look(grow=6)) > 0
    assert np.array_equal(grown, distance(mask) < 6.5)
    shrunk = pictures.mask(result(mask), Look(shrink=5)) > 0
    assert np.array_equal(~shrunk, distance(~mask) < 5.5)
    gap = mask.copy()
    gap[30:33] = False
    closed = pictures.mask(result(gap), Look(grow=3, shrink=3)) > 0
    assert np.array_equal(closed[:, 24:40], mask[:, 24:40])


def test_holes_are_filled_and_specks_left_out() -> None:
    mask = square()
    holey = mask.copy()
    holey[30:34, 30:34] = False
    assert np.array_equal(pictures.mask(result(holey), Look(fill_holes=True)) > 0, mask)
    specked = mask.copy()
    specked[2:5, 2:5] = True
    assert np.array_equal(pictures.mask(result(specked), Look(min_area=10)) > 0, mask)
    assert np.array_equal(pictures.mask(result(specked), Look(min_area=9)) > 0, specked)


def test_what_is_written_is_adjusted_and_the_maps_are_not() -> None:
    look = Look(grow=2)
    shown = result(square())
    for picture in (pictures.mask, pictures.matte, pictures.numbers, pictures.overlay, pictures.cutout):
        assert not np.array_equal(picture(shown, look), picture(shown, Look()))
    assert np.array_equal(pictures.probabilities(shown, look), pictures.probabilities(shown, Look()))


def test_objects_grow_into_their_surroundings_and_keep_their_numbers() -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[10:30, 10:25] = 3
    labels[10:30, 35:50] = 7
    grown = pictures.numbers(result(labels > 0, labels), Look(grow=4))
    assert (grown[20, 8], grown[20, 27], grown[20, 33], grown[20, 30]) == (3, 3, 7, 0)
    assert np.array_equal(grown[labels > 0], labels[labels > 0])


def test_a_matte_is_what_was_found_of_it() -> None:
    alpha = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    found = pictures.matte(result(square(), alpha=alpha), Look())
    assert np.array_equal(found, np.rint(255 * alpha))


def test_feathered_edges_are_soft_and_stay_in_place() -> None:
    alpha = pictures.matte(result(square(96, 24, 72)), Look(feather=8))[48].astype(int)
    assert alpha[10] == 0
    assert alpha[48] == 255
    assert (np.diff(alpha[:48]) >= 0).all()
    assert alpha[23] + alpha[24] == pytest.approx(255, abs=2)
    assert 6 <= np.count_nonzero((alpha[:48] > 25) & (alpha[:48] < 230)) <= 12


@pytest.mark.parametrize("kind", KINDS)
def test_the_colours_behind_are_taken_out(kind: str) -> None:
    image, alpha, colours = draw_edge_scene(np.random.default_rng(2), kind, (427, 240)).expose(2)
    opacity = np.rint(255 * alpha).astype(np.uint8)
    found = estimate_foreground(image, opacity)
    assert np.array_equal(found[opacity == 255], image[opacity == 255])
    mixed = (alpha > 0.1) & (alpha < 0.9)
    before, after = (np.abs(shown[mixed] - colours[mixed]).mean() for shown in (image.astype(float), found))
    assert after < 0.55 * before
    assert not found[cv2.dilate(opacity, np.ones((17, 17))) == 0].any()


def test_the_colours_are_those_of_pymatting() -> None:
    pymatting = pytest.importorskip("pymatting", reason="needs pymatting")
    image, alpha, _ = draw_edge_scene(np.random.default_rng(2), "hair", (214, 120)).expose(2)
    opacity = np.rint(255 * alpha).astype(np.uint8)
    expected = 255 * pymatting.estimate_foreground_ml(image / 255, opacity / 255)
    mixed = (opacity > 0) & (opacity < 255)
    found = estimate_foreground(image, opacity).astype(float)
    assert np.abs(found - expected)[mixed].mean() < 0.25 * np.abs(image - expected)[mixed].mean()


def test_large_frames_are_worked_on_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    image, alpha, colours = draw_edge_scene(np.random.default_rng(2), "defocus", (640, 360)).expose(2)
    opacity = np.rint(255 * alpha).astype(np.uint8)
    mixed = (alpha > 0.1) & (alpha < 0.9)
    whole = estimate_foreground(image, opacity).astype(float)
    monkeypatch.setattr("isomer.media.foreground._MOST", 20_000)
    part = estimate_foreground(image, opacity).astype(float)
    assert np.abs(part - colours)[mixed].mean() < 1.3 * np.abs(whole - colours)[mixed].mean()

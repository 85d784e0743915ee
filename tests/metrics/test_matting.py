from __future__ import annotations

import math

import numpy as np
import pytest

from isomer.errors import InputError
from isomer.metrics.matting import MSE, SAD, ConnectivityError, DtSSD, GradientError, MattingMeasure

ALL = (SAD, MSE, GradientError, ConnectivityError)


def mattes(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    alpha, truth = rng.random((2, 24, 31)).astype(np.float32)
    return alpha, truth, rng.random((24, 31)) < 0.6


def of(measure: MattingMeasure, *frame: np.ndarray) -> float:
    measure.step(*frame)
    return measure.result()


@pytest.mark.parametrize("kind", ALL)
def test_the_truth_has_no_error(kind: type[MattingMeasure]) -> None:
    _, truth, region = mattes(0)
    assert of(kind(), truth, truth, region) == 0


def test_differences_by_hand() -> None:
    alpha, truth, region = mattes(1)
    inside = [(a - t) for a, t, r in zip(alpha.flat, truth.flat, region.flat, strict=True) if r]
    assert of(SAD(), alpha, truth, region) == pytest.approx(sum(map(abs, inside)) / 1000, rel=1e-5)
    assert of(MSE(), alpha, truth, region) == pytest.approx(sum(d * d for d in inside) / len(inside), rel=1e-5)
    assert math.isnan(of(MSE(), alpha, truth, np.zeros_like(region)))


def test_the_gradient_is_the_convolution_with_a_gaussians_derivative() -> None:
    """The oracle: the two kernels of Rhemann et al. pixel by pixel, where no border is near."""
    alpha, truth, _ = mattes(2)
    sigma, half = 1.4, 4
    x = np.arange(-half, half + 1)
    gauss = np.exp(-(x**2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    slope = -x * gauss / sigma**2
    across = np.outer(gauss, slope)
    across /= np.sqrt((across**2).sum())
    region = np.zeros(alpha.shape, bool)
    region[half:-half, half:-half] = True

    def magnitude(matte: np.ndarray, y: int, x: int) -> float:
        seen = matte[y - half : y + half + 1, x - half : x + half + 1]
        return float(np.hypot((seen * across).sum(), (seen * across.T).sum()))

    total = sum((magnitude(alpha, *at) - magnitude(truth, *at)) ** 2 for at in np.argwhere(region))
    assert of(GradientError(), alpha, truth, region) == pytest.approx(total / 1000, rel=0.02)


def test_what_hangs_on_nothing_counts_and_what_is_fainter_does_not() -> None:
    truth = np.zeros((20, 40), np.float32)
    truth[5:15, 2:30] = 1
    region = np.ones(truth.shape, bool)
    island = truth.copy()
    island[8:11, 34:37] = 1
    fainter = truth.copy()
    fainter[:, 20:30] *= np.float32(0.95)
    assert of(ConnectivityError(), island, truth, region) == pytest.approx(0.009)
    assert of(ConnectivityError(), fainter, truth, region) == 0


def test_what_flickers_counts_and_what_is_off_for_good_does_not() -> None:
    _, truth, region = mattes(3)
    steady, flickering = DtSSD(), DtSSD()
    for frame in range(4):
        steady.step(truth * np.float32(0.5), truth, region)
        flickering.step(truth + np.float32(0.1 * (frame % 2)), truth, region)
    assert math.isnan(steady.values[0])
    assert steady.result() == pytest.approx(0, abs=1e-6)
    assert flickering.result() == pytest.approx(10, rel=1e-4)


def test_what_is_no_matte_is_refused() -> None:
    alpha, truth, region = mattes(4)
    for frame in ((alpha.astype(float), truth, region), (alpha, truth[:-1], region), (alpha, truth, truth)):
        with pytest.raises(InputError, match="; give "):
            SAD().step(*frame)

"""The script behind the calibration of benchmarks/README.md: its errors, and the scale that it fits."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

_SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "calibration.py"
calibration = SimpleNamespace(**runpy.run_path(str(_SCRIPT)))


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_the_scale_undoes_what_was_done_to_calibrated_logits(scale: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.uniform(-3, 3, 200_000)
    annotation = generator.random(logits.size) < 1 / (1 + np.exp(-logits))
    stated = 1 / (1 + np.exp(-logits / scale))
    reliability = calibration.Reliability()
    reliability.step(stated.astype(np.float32), annotation)
    assert reliability.best_scale() == pytest.approx(scale, rel=0.03)
    assert reliability.error(scale) < 0.01
    bins = np.minimum((stated * 15).astype(int), 14)  # the definition, on the pixels themselves
    error = sum(abs((stated - annotation)[bins == number].sum()) for number in range(15)) / logits.size
    assert reliability.error() == pytest.approx(error, abs=0.003)


def test_the_border_is_what_lies_within_twenty_pixels_of_the_outline() -> None:
    annotation = np.zeros((90, 120), bool)
    annotation[30:80, 25:100] = True
    distance = np.where(annotation, distance_transform_edt(annotation), distance_transform_edt(~annotation))
    band = calibration.near_border(annotation)
    assert band[distance <= 19].all()
    assert not band[distance >= 21].any()
    assert not calibration.near_border(np.zeros((4, 5), bool)).any()

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from isomer.errors import InputError
from isomer.metrics import (
    MAE,
    BoundaryAccuracy,
    EMeasure,
    FMeasure,
    FramePair,
    RegionSimilarity,
    SMeasure,
    TemporalStability,
    WeightedFMeasure,
    bits,
    decay,
    published_scale,
    summarize,
)

_ORACLE = Path(__file__).resolve().parents[2] / "benchmarks" / "naive_metrics.py"
_spec = importlib.util.spec_from_file_location("naive_metrics", _ORACLE)
assert _spec is not None
assert _spec.loader is not None
naive = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(naive)


def _shapes() -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(2, 40), st.integers(2, 140))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A prediction of blobs or noise and an annotation of blobs, specks, stripes, or nothing."""
    height, width = draw(_shapes())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y, x = np.mgrid[:height, :width]

    def blob() -> np.ndarray:
        cy, cx, ry, rx = rng.uniform((0, 0, 1, 1), (height, width, height, width))
        return ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2

    kind = draw(st.sampled_from(("blob", "noise", "pixel", "stripes", "empty", "full")))
    annotation = {
        "blob": blob() < 1,
        "noise": rng.random((height, width)) < rng.uniform(0, 0.5),
        "pixel": (y == rng.integers(height)) & (x == rng.integers(width)),
        "stripes": (x // 3) % 2 == 0,
        "empty": np.zeros((height, width), bool),
        "full": np.ones((height, width), bool),
    }[kind]
    maps = draw(st.sampled_from(("soft", "noise", "two", "binary", "constant")))
    prediction = {
        "soft": 255 * np.exp(-blob()),
        "noise": rng.integers(0, 256, (height, width)),
        "two": np.where(blob() < 1, rng.integers(1, 256), rng.integers(0, 256)),
        "binary": np.where(blob() < 1, 255, 0),
        "constant": np.full((height, width), rng.integers(0, 256)),
    }[maps]
    return prediction.astype(np.uint8), annotation.astype(np.uint8) * 255


def _one(measure, prediction, annotation):
    measure.step(prediction, annotation)
    return measure.result()


@settings(max_examples=250, deadline=None)
@given(pairs())
def test_masks_against_the_definition(pair):
    assert _one(RegionSimilarity(), *pair).mean == naive.region_similarity(*pair)
    assert _one(BoundaryAccuracy(), *pair).mean == pytest.approx(naive.boundary_accuracy(*pair), abs=1e-12)


@settings(max_examples=150, deadline=None)
@given(pairs())
def test_curves_against_256_thresholds(pair):
    f, precision, recall = naive.f_measure(*pair)
    result = _one(FMeasure(), *pair)
    np.testing.assert_allclose(result.curve, f[:256], atol=1e-12)
    np.testing.assert_allclose(result.precision, precision[:256], atol=1e-12)
    np.testing.assert_allclose(result.recall, recall[:256], atol=1e-12)
    assert result.max == pytest.approx(f[:256].max(), abs=1e-12)
    assert result.mean == pytest.approx(f[:256].mean(), abs=1e-12)
    e = naive.e_measure(*pair)
    result = _one(EMeasure(), *pair)
    np.testing.assert_allclose(result.curve, e[:256], atol=1e-11)
    # The mean may round to either side of a level that equals twice the mean.
    p, _ = naive.prepare(*pair)
    if np.abs(p - min(2 * p.mean(), 1)).min() > 1e-12:
        assert result.adaptive == pytest.approx(e[256], abs=1e-11)
        assert _one(FMeasure(), *pair).adaptive == pytest.approx(f[256], abs=1e-12)


@settings(max_examples=250, deadline=None)
@given(pairs())
def test_mae_and_weighted_f_against_the_definition(pair):
    assert _one(MAE(), *pair) == pytest.approx(naive.mae(*pair), abs=1e-12)
    assert _one(WeightedFMeasure(), *pair) == pytest.approx(naive.weighted_f_measure(*pair), abs=1e-9)


@settings(max_examples=250, deadline=None)
@given(pairs())
def test_structure_against_the_definition(pair):
    p, _ = naive.prepare(*pair)
    # In floating point the variance of a constant other than 0 or 1 is noise, and SSIM asks whether it is 0.
    if len(np.unique(p)) > 2 or set(np.unique(p)) <= {0.0, 1.0}:
        assert _one(SMeasure(), *pair) == pytest.approx(naive.s_measure(*pair), abs=1e-9, nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(pairs())
def test_invariants(pair):
    prediction, annotation = pair
    mask = (prediction > 128).astype(np.uint8) * 255
    for measure in (RegionSimilarity, BoundaryAccuracy):
        assert _one(measure(), mask, annotation).mean == _one(measure(), annotation, mask).mean
        assert _one(measure(), mask, mask).mean == 1
        flipped = _one(RegionSimilarity(), mask[:, ::-1], annotation[:, ::-1]).mean
        assert flipped == _one(RegionSimilarity(), mask, annotation).mean
    assert 0 <= _one(MAE(), prediction, annotation) <= 1
    assert _one(MAE(), annotation, annotation) == 0
    result = _one(FMeasure(), prediction, annotation)
    assert ((result.curve >= 0) & (result.curve <= 1 + 1e-12)).all()
    assert (np.diff(result.recall) >= 0).all()
    assert result.mean <= result.max + 1e-12
    if annotation.any():
        assert _one(WeightedFMeasure(), annotation, annotation) == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 30), st.integers(1, 200))), st.integers(1, 90))
def test_packed_dilation_is_the_disk(mask, radius):
    words = bits.pack_above([mask.astype(np.uint8)], [0])
    assert bits.count(words) == mask.sum()
    np.testing.assert_array_equal(bits.unpack(words, mask.shape[1])[0], mask)
    np.testing.assert_array_equal(
        bits.unpack(bits.boundaries(words, mask.shape[1]), mask.shape[1])[0], naive.boundary(mask)
    )
    near = bits.unpack(bits.dilate_disk(words, radius), mask.shape[1])[0]
    y, x = np.nonzero(mask)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    squared = (rows[..., None] - y) ** 2 + (columns[..., None] - x) ** 2
    np.testing.assert_array_equal(near, (squared <= radius**2).any(axis=-1))


def test_boundary_tolerance_is_eight_pixels_at_480p():
    annotation = np.zeros((480, 854), np.uint8)
    annotation[:, :400] = 255
    for shift, expected in ((8, 1.0), (9, 0.0)):
        prediction = np.zeros_like(annotation)
        prediction[:, : 400 + shift] = 255
        assert _one(BoundaryAccuracy(), prediction, annotation).mean == expected


def test_levels_128_and_129_part_background_from_foreground():
    annotation = np.full((4, 4), 1, np.uint8)  # a palette index: any level above 0 is foreground
    assert _one(RegionSimilarity(), np.full((4, 4), 128, np.uint8), annotation).mean == 0
    assert _one(RegionSimilarity(), np.full((4, 4), 129, np.uint8), annotation).mean == 1


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 48, 255, 256, 257, 300, 1000])
def test_decay_bins_of_any_length(frames):
    values = np.arange(frames, dtype=float) ** 2
    edges = [int(np.floor(1 + i * (frames - 1) / 4 + 0.5 + 1e-10)) - 1 for i in range(5)]
    # numpy rounds half to even, which 1e-10 makes half up
    expected = values[edges[0] : edges[1] + 1].mean() - values[edges[3] : edges[4] + 1].mean()
    assert decay(values) == pytest.approx(expected, abs=1e-9)


def test_recall_is_strict_and_undefined_frames_do_not_count():
    score = summarize([0.5, 0.51, np.nan, 1.0])
    assert score.recall == pytest.approx(2 / 3)
    assert score.mean == pytest.approx((0.5 + 0.51 + 1) / 3)
    assert np.isnan(summarize([]).mean)


def test_sequence_order_does_not_matter_to_means():
    rng = np.random.default_rng(0)
    frames = [(rng.integers(0, 256, (9, 11), np.uint8), rng.integers(0, 2, (9, 11), np.uint8) * 255) for _ in "12345"]
    for measure in (MAE, SMeasure, WeightedFMeasure):
        forward, backward = measure(), measure()
        for prediction, annotation in frames:
            forward.step(prediction, annotation)
        for prediction, annotation in frames[::-1]:
            backward.step(prediction, annotation)
        assert forward.result() == pytest.approx(backward.result(), abs=1e-14)


def test_published_thresholds_put_63_levels_off_by_one():
    # Known of the published code: 63 of its 256 thresholds select from the next level up.
    cutoffs = published_scale(0, 255).cutoffs
    assert ((cutoffs - np.arange(255, -1, -1)) != 0).sum() == 63
    assert set(cutoffs - np.arange(255, -1, -1)) == {0, 1}


def test_bad_arrays_are_named():
    good = np.zeros((4, 5), np.uint8)
    with pytest.raises(InputError, match="5x4 but its annotation is 6x4"):
        FramePair(good, np.zeros((4, 6), np.uint8))
    with pytest.raises(InputError, match="prediction: float64"):
        FramePair(good.astype(float), good)
    with pytest.raises(InputError, match="ground truth"):
        FramePair(good, np.zeros((4, 5, 3), np.uint8))
    assert _one(RegionSimilarity(), good + 255, np.ones((4, 5), bool)).mean == 1


def _stability(*masks):
    measure = TemporalStability()
    for mask in masks:
        measure.step(mask.astype(np.uint8) * 255, np.zeros(mask.shape, np.uint8))
    return measure


def _bumpy(dy=0, dx=0, phase=0.0, size=30.0):
    y, x = np.mgrid[:160, :200]
    y, x = y - 70 - dy, x - 90 - dx
    angle = np.arctan2(y, x)
    return np.hypot(y, x) < size * (1 + 0.3 * np.sin(3 * angle + phase) + 0.15 * np.cos(5 * angle))


def test_stability_of_identical_and_translated_masks_is_zero():
    assert _stability(_bumpy(), _bumpy(), _bumpy(12, -7)).values[1:] == [0, 0]


def test_stability_grows_with_deformation_and_is_symmetric():
    small = _stability(_bumpy(), _bumpy(phase=0.15)).values[1]
    large = _stability(_bumpy(), _bumpy(phase=0.8)).values[1]
    assert 0 < small < large < 5
    back = _stability(_bumpy(phase=0.8), _bumpy()).values[1]
    assert back == pytest.approx(large, rel=0.1)


def test_stability_is_undefined_where_a_mask_is_empty():
    empty = np.zeros((160, 200), bool)
    measure = _stability(_bumpy(), empty, _bumpy(), _bumpy())
    assert np.isnan(measure.values[:3]).all()
    assert measure.result().mean == 0


def test_stability_closed_form():
    # One pixel: all of its histogram is in the innermost ring at angle 0. A row of four pixels, simplified to
    # its ends 3 px apart: two samples, mean of the distances 0, 3, 3, 0 is 1.5, and 3 / 1.5 is not within the
    # outer radius, so either histogram again holds the point itself only.
    dot, dash = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    dot[5, 5] = dash[5, 5:9] = True
    assert _stability(dot, dash).values[1] == 0
    # A row of five: two samples each way, at 0, 2, 4, 2. The mean of all 16 distances is 1.5, and of any two
    # at 4 / 1.5 neither sees the other. An end's histogram has a third at itself and two thirds at the middle
    # ones; a middle one's has half at itself (and its twin) and a quarter at each end. The dot keeps the
    # cheapest match: half the chi-squared distance from a histogram with a share s at itself is (1 - s) / (1
    # + s), so 1/3.
    dash[5, 9] = True
    assert _stability(dot, dash).values[1] == pytest.approx(5 / 3)

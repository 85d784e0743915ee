"""The figures of the authoritative tools on real predictions and on edge cases."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from isomer.evaluate import evaluate_zvos
from isomer.metrics import (
    MAE,
    BoundaryAccuracy,
    EMeasure,
    FMeasure,
    FramePair,
    RegionSimilarity,
    SMeasure,
    WeightedFMeasure,
)

SETS = ("osvos", "osvos_soft", "shiftblur", "corner")
COLUMNS = {
    "mae": "MAE",
    "sm": "S",
    "wfm": "wFbeta",
    "adpfm": "Fbeta-adaptive",
    "meanfm": "Fbeta-mean",
    "maxfm": "Fbeta-max",
    "adpem": "E-adaptive",
    "meanem": "E-mean",
    "maxem": "E-max",
}


def _evaluate(shared: Path, name: str, protocol: str, measures):
    return evaluate_zvos(
        shared / "metrics" / "predictions" / name,
        shared / "data" / "davis-dev",
        protocol,
        measures=measures,
    ).methods[name]


@pytest.fixture(scope="module")
def expected(shared: Path):
    file = shared / "metrics" / "expected.json"
    if not file.is_file():
        pytest.skip("no expected figures beside the checkout")
    return json.loads(file.read_text())["sets"]


@pytest.mark.parametrize("name", SETS)
def test_inner_frames(shared: Path, expected, name):
    result = _evaluate(shared, name, "davis", ("J", "F", "MAE", "S", "Fbeta", "wFbeta", "E"))
    tools = expected[name]
    assert len(tools["davis_official"]["sequences"]) == len(result.sequences) == 6
    for sequence, one in result.sequences.items():
        for measure, figures in tools["davis_official"]["sequences"][sequence].items():
            for kind, figure in figures.items():
                assert one.scores[f"{measure}-{kind}"] == pytest.approx(figure, abs=1e-12, rel=0)
        figures = dict(tools["pysodmetrics"]["sequences"][sequence])
        assert figures.pop("frames") == len(one.frames)
        assert figures.keys() == COLUMNS.keys()
        for kind, figure in figures.items():
            assert one.scores[COLUMNS[kind]] == pytest.approx(figure, abs=1e-9, rel=0), (sequence, kind)
    assert result.mean["J-mean"] == pytest.approx(
        np.mean([f["J"]["mean"] for f in tools["davis_official"]["sequences"].values()]), abs=1e-12
    )


@pytest.mark.parametrize("name", ["osvos", "shiftblur", "corner"])
def test_all_frames(shared: Path, expected, name):
    result = _evaluate(shared, name, "all-frames", ("J", "F"))
    figures = expected[name]["davis2017_evaluation_unsup_all_frames"]["sequences"]
    for sequence, one in result.sequences.items():
        for measure in ("J", "F"):
            for kind, figure in figures[sequence][measure].items():
                assert one.scores[f"{measure}-{kind}"] == pytest.approx(figure, abs=1e-12, rel=0)


def test_published_protocol_means_all_frames_and_trends_inner_ones(shared: Path, expected):
    result = _evaluate(shared, "osvos", "isomer", ("J", "F"))
    everything = expected["osvos"]["davis2017_evaluation_unsup_all_frames"]["sequences"]
    inner = expected["osvos"]["davis_official"]["sequences"]
    for sequence, one in result.sequences.items():
        for measure in ("J", "F"):
            figure = everything[sequence][measure]["mean"]
            assert one.scores[f"{measure}-mean"] == pytest.approx(figure, abs=1e-12, rel=0)
            for kind in ("recall", "decay"):
                figure = inner[sequence][measure][kind]
                assert one.scores[f"{measure}-{kind}"] == pytest.approx(figure, abs=1e-12, rel=0)


def test_edge_cases(shared: Path):
    file = shared / "metrics" / "edge_cases.json"
    if not file.is_file():
        pytest.skip("no edge cases beside the checkout")
    cases = json.loads(file.read_text())["cases"]
    arrays = np.load(file.with_suffix(".npz"))
    assert len(cases) >= 24
    for name, figures in cases.items():
        measures = [m() for m in (MAE, SMeasure, WeightedFMeasure, FMeasure, EMeasure, RegionSimilarity)]
        measures.append(BoundaryAccuracy())
        pair = FramePair(arrays[f"{name}/pred"], arrays[f"{name}/gt"])
        for measure in measures:
            measure.step_pair(pair)
        mae, s, weighted, f, e, j, boundary = (measure.result() for measure in measures)
        found = {
            "mae": mae,
            "sm": s,
            "wfm": weighted,
            "adpfm": f.adaptive,
            "meanfm": f.mean,
            "maxfm": f.max,
            "adpem": e.adaptive,
            "meanem": e.mean,
            "maxem": e.max,
        }
        assert figures.keys() == found.keys() | {"J", "F"}
        assert j.mean == pytest.approx(figures["J"], abs=1e-12, rel=0), name
        assert boundary.mean == pytest.approx(figures["F"], abs=1e-12, rel=0), name
        for kind, figure in found.items():
            assert figure == pytest.approx(figures[kind], abs=1e-9, rel=0, nan_ok=True), (name, kind)

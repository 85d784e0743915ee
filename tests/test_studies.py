"""The scripts behind the short trainings of benchmarks/README.md: what they keep, average and print."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

_BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _line(variant: str, seed: int, j: float, f: float) -> str:
    scores = {
        "DIS": {"goat": {"J": j, "F": f}, "libby": {"J": j + 0.2, "F": f}},
        "stored": {"goat": {"J": j / 2, "F": f}, "libby": {"J": j / 2, "F": f}},
    }
    return json.dumps({"variant": variant, "seed": seed, "steps": 5, "scores": scores}) + "\n"


def test_study_prints_what_is_done_and_goes_no_further(tmp_path, monkeypatch, capsys) -> None:
    pytest.importorskip("lightning_fabric")
    study = _script("study")
    lines = [_line("published", 0, 0.3, 0.4), _line("published", 1, 0.4, 0.6)]
    lines += [_line("isomer", 0, 0.33, 0.43), _line("isomer", 1, 0.42, 0.62)]
    (tmp_path / "results.jsonl").write_text("".join(lines))
    command = ["study.py", "no-data", "--encoder-weights", "none", "--results", str(tmp_path / "results.jsonl")]
    monkeypatch.setattr(
        sys, "argv", [*command, "--steps", "5", "--seeds", "0", "1", "--variants", "isomer", "published"]
    )
    study.main()
    said = capsys.readouterr().out
    # J 40 and 50, F 40 and 60: J&F 40 and 55; less isomer's 43 and 57: -3 and -2, a deviation of the mean of 0.5,
    # times Student's 12.706. By RAFT 27.5 and 40, less isomer's 29.75 and 41.5.
    assert "| published | 2 | 47.5 ± 10.6 | -2.5 (-8.9 to +3.9) | 33.8 ± 8.8 | -1.9 (-6.6 to +2.9) |" in said
    assert "| published | 42.5 ± 10.6 | 52.5 ± 10.6 |" in said  # J&F of goat and libby by DIS
    assert "| published | 1 | 5 | 50.0, 60.0 | 20.0, 60.0 | `model.fusion=published` |" in said


def test_study_gives_the_same_sample_when_it_was_kept(tmp_path) -> None:
    pytest.importorskip("lightning_fabric")
    study = _script("study")

    class Samples:
        drawn = 0

        def __getitem__(self, index: int) -> tuple[int, bytes]:
            self.drawn += 1
            return index, np.random.default_rng(index).bytes(8)

    samples = Samples()
    first, second = study.Kept(samples, tmp_path / "a"), study.Kept(samples, tmp_path / "a")
    assert first[3] == second[3] == first[3] == Samples()[3]
    assert first[4] != first[3]
    assert samples.drawn == 2


def test_every_variant_is_a_valid_recipe() -> None:
    pytest.importorskip("lightning_fabric")
    study = _script("study")
    recipe = _BENCHMARKS.parent / study.RECIPE
    plain = study.load_config(recipe, study.COMMON)
    assert plain.validation is None  # nothing is chosen by the sequences that judge
    configs = [study.load_config(recipe, [*study.COMMON, *changes]) for changes in study.VARIANTS.values()]
    assert all(a != b for i, a in enumerate(configs) for b in configs[:i])


def test_certain_and_right_is_calibrated() -> None:
    calibration = _script("calibration")
    annotation = np.arange(12).reshape(3, 4) % 3 == 0
    figures = calibration.SequenceFigures()
    for probability in (annotation.astype(np.float32), np.where(annotation, 0.65, 0.35).astype(np.float32)):
        figures.step(probability, annotation)
    assert figures.everywhere.error() == pytest.approx(0.35 / 2, abs=0.01)  # half of the pixels are 0.35 off
    by_threshold = dict(zip(calibration._THRESHOLDS, figures.scores().tolist(), strict=True))
    assert by_threshold[0.5] == [100, 100]
    assert by_threshold[0.2][0] == pytest.approx(100 * (1 + 1 / 3) / 2)  # everything, then the object
    assert by_threshold[0.8][0] == pytest.approx(50)  # nothing, then the object

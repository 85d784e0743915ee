from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import nn

from isomer.cli.main import main
from isomer.data.clip import SceneFrames, write_clip
from isomer.data.scene import Scene
from isomer.model.network import Isomer
from isomer.segment.benchmark import STAGES, count_flops


def test_flops_are_two_a_multiplication_as_hooks_count_them() -> None:
    """The oracle counts convolutions and linear layers by their outputs; attention's products come on top."""
    network = Isomer().eval()
    counted = 0

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        assert isinstance(module, (nn.Conv2d, nn.Linear))
        counted += 2 * output.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(*torch.zeros(2, 1, 3, 64, 96))
    expected = counted  # the hooks go on counting
    assert expected < count_flops(network, (96, 64)) < 1.3 * expected


def test_the_verb_measures_two_configurations_in_turn(
    scene: Scene, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(SceneFrames(scene, 4, Fraction(25)), tmp_path / "clip.mp4")
    arguments = ["benchmark", "--video", tmp_path / "clip.mp4", "--model", weights, "--size", 64]
    arguments += ["--backend", "torch", "--device", "cpu", "--against", "batch=2", "size=96", "--repeats", 2]
    arguments += ["--rounds", 1, "--json", tmp_path / "figures.json"]
    assert main(list(map(str, arguments))) == 0
    said = capsys.readouterr().out
    assert "second / first: network" in said
    assert "frames/s" in said
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["machine"]["torch"] == torch.__version__
    first, second = written["measurements"]
    assert set(first["stages_ms"]) == set(STAGES)
    assert set(first["parts_ms"]) == {name for name, _ in Isomer().named_children()}
    assert first["parameters"] == sum(p.numel() for p in Isomer().parameters())
    assert (first["configuration"]["batch"], second["configuration"]["batch"]) == (1, 2)
    assert second["flops"] > first["flops"]
    assert second["peak_memory_bytes"]["process"] > 0


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from isomer.segment.benchmark_plot import plot_stages

    stages = {name: {"median": 1.0, "p95": 2.0} for name in STAGES}
    settings = {"model": "isomer_mobilenet_v2", "backend": "torch", "size": 384, "batch": 1}
    summary = {"configuration": settings, "stages_ms": stages, "path_ms": {"median": 4.0, "p95": 5.0}}
    plot_stages([summary, summary], tmp_path / "stages.png")
    assert (tmp_path / "stages.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("option", "message"),
    [("speed=2", "--against speed=2: not OPTION=VALUE"), ("size=big", "'big' is not a number")],
)
def test_bad_comparisons_are_refused(option: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--against", option]) == 2
    assert message in capsys.readouterr().err


def test_the_comparison_with_vanilla_runs() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "fusion.py"
    command = [sys.executable, script, "--encoders", "mobilenet_v2", "--sizes", "64", "--attentions", "fused"]
    done = subprocess.run([*command, "--repeats", "1"], capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| mobilenet_v2")]
    assert [row.split("|")[4].strip() for row in rows] == ["isomer", "vanilla"]

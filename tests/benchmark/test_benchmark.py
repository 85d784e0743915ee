from __future__ import annotations

import json
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from isomer.benchmark.parts import PartTimer, part_timer
from isomer.benchmark.path import STAGES, benchmark, count_flops
from isomer.cli.main import main
from isomer.data.synthetic.clip import SceneFrames, write_clip
from isomer.data.synthetic.scene import Scene
from isomer.model.ffn import FeedForward
from isomer.model.network import Isomer
from isomer.options import Options
from isomer.runtime import create_backend
from isomer.runtime.export import export_network


@pytest.fixture
def clip(scene: Scene, tmp_path: Path) -> Path:
    write_clip(SceneFrames(scene, 4, Fraction(25)), tmp_path / "clip.mp4")
    return tmp_path / "clip.mp4"


def test_flops_are_two_a_multiplication_as_hooks_count_them() -> None:
    """The oracle counts convolutions and linear layers by their outputs; attention's and the head's come on top."""
    network = Isomer().eval()
    counted = 0

    def count(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        assert isinstance(module, (nn.Conv2d, nn.Linear))
        counted += 2 * output.numel() * module.weight[0].numel()

    def count_linear(block: FeedForward, _: object, output: torch.Tensor) -> None:  # which calls its layers' weights
        nonlocal counted
        counted += 2 * output[0, 0].numel() * (block.linear1.weight.numel() + block.linear2.weight.numel())

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
        if isinstance(module, FeedForward):
            module.register_forward_hook(count_linear)
    with torch.no_grad():
        network(*torch.zeros(2, 1, 3, 64, 96))
    expected = counted  # the hooks go on counting
    assert expected < count_flops(network, (96, 64)) < 1.3 * expected


def test_the_verb_measures_two_configurations_in_turn(
    weights: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["benchmark", "--video", clip, "--model", weights, "--size", 64]
    arguments += ["--backend", "torch", "--device", "cpu", "--repeats", 2]
    arguments += ["--against", "batch=2", "size=96", "key-interval=1"]
    arguments += ["--rounds", 1]
    assert main(list(map(str, arguments))) == 0
    said = capsys.readouterr().out
    assert "second / first: network" in said
    assert "frames/s" in said
    assert main([*map(str, arguments), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["machine"]["versions"]["torch"] == torch.__version__
    first, second = written["measurements"]
    assert set(first["stages_ms"]) == set(first["stages_of_all_frames_ms"]) == set(STAGES)
    assert 0 < first["key_share"] < 1 == second["key_share"]
    assert second["stages_of_all_frames_ms"]["interpolation"] == 0
    network = first["stages_ms"]["network"]["median"] * first["key_share"]
    assert first["stages_of_all_frames_ms"]["network"] == pytest.approx(network, rel=0.01)
    assert set(first["parts_ms"]) == {name for name, _ in Isomer().named_children()}
    assert first["parameters"] == sum(p.numel() for p in Isomer().parameters())
    assert (first["configuration"]["batch"], second["configuration"]["batch"]) == (1, 2)
    assert second["flops"] > first["flops"]
    assert second["peak_memory_bytes"]["process"] > 0


def test_openvino_tells_the_parts_and_runs_an_exported_file(
    network: Isomer, weights: Path, clip: Path, tmp_path: Path
) -> None:
    pytest.importorskip("openvino")
    export_network(network, tmp_path / "net.xml", "openvino")
    first, second = benchmark(
        [Options(model=str(weights), size=64, backend="openvino"), Options(model=str(tmp_path / "net.xml"), size=64)],
        clip,
        repeats=30,
        rounds=1,
    )
    for result in (first, second):
        assert set(result.parts) == {name for name, _ in Isomer().named_children()}
        assert all(len(times) == 3 for times in result.parts.values())  # the clip has four frames
        counts = {stage: len(times) for stage, times in result.stages.items()}
        assert counts == {stage: 4 if "code" in stage else 3 for stage in STAGES}  # decoded and encoded are frames
    assert (second.parameters, second.flops) == (None, None)
    assert first.parameters


def test_parts_in_openvino_add_up_to_the_network(weights: Path) -> None:
    pytest.importorskip("openvino")
    backend = create_backend(weights, "openvino")
    images = np.zeros((1, 96, 96, 3), np.uint8)
    time_parts = part_timer(backend, images.shape)
    wholes, sums = [], []
    for _ in range(10):
        start = time.perf_counter()
        times = time_parts(images, images)
        wholes.append(time.perf_counter() - start)
        sums.append(sum(times.values()))
    assert min(sums) < min(wholes)
    assert sum(sums[1:]) > 0.3 * sum(wholes[1:])


def test_the_network_is_timed_without_its_parts(weights: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Telling parts apart slows the network; here, beyond all measure."""

    def slow_timer(*_: object) -> PartTimer:
        return lambda *_: time.sleep(2) or {"head": 2.0}

    monkeypatch.setattr("isomer.benchmark.path.part_timer", slow_timer)
    (result,) = benchmark(
        [Options(model=str(weights), size=64, backend="torch", device="cpu")], clip, repeats=2, rounds=1
    )
    assert result.parts == {"head": [2.0, 2.0]}
    assert sorted(result.stages["network"])[0] < 2


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from isomer.benchmark.plot import plot_stages

    stages = dict.fromkeys(STAGES, 1.0)
    settings = Options().of(Options)
    path = {"median": 4.0, "p95": 5.0}
    summary = {"configuration": settings, "stages_of_all_frames_ms": stages, "path_ms": path}
    plot_stages([summary, summary], tmp_path / "stages.png")
    assert (tmp_path / "stages.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("speed=2", "--against speed=2: not OPTION=VALUE"),
        ("size=big", "--size big: not a whole number"),
        ("size=7", "--size 7: not between 64 and 4096"),
        ("batch=0", "--batch 0: less than 1"),
    ],
)
def test_bad_comparisons_are_refused(option: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--frames", "2", "--backend", "torch", "--against", option]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "number", "message"),
    [
        ("--repeats", "0", "--repeats 0: less than 1"),
        ("--rounds", "-1", "--rounds -1: less than 1"),
        ("--batch", "0", "--batch 0: less than 1"),
        ("--frames", "1", "--frames 1: less than 2"),
        ("--size", "1000000", "--size 1000000: not between"),
    ],
)
def test_bad_numbers_get_one_line(
    option: str, number: str, message: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", "--video", str(clip), option, number]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if message in line]
    assert len(said) == 1


def test_one_frame_is_no_video(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(SceneFrames(scene, 1, Fraction(25)), tmp_path / "one.mp4")
    assert main(["benchmark", "--video", str(tmp_path / "one.mp4")]) == 2
    assert "one.mp4: has only one frame; motion needs at least two" in capsys.readouterr().err


def test_the_comparison_with_vanilla_runs() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "fusion.py"
    command = [sys.executable, script, "--encoders", "mobilenet_v2", "--sizes", "64", "--attentions", "fused"]
    done = subprocess.run([*command, "--repeats", "1"], capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| mobilenet_v2")]
    assert [row.split("|")[4].strip() for row in rows] == ["isomer", "vanilla"]

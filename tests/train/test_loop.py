from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from isomer.cli.main import main
from isomer.data.samples import collate
from isomer.errors import InputError
from isomer.media.image import read_gray, write_image
from isomer.model.checkpoint import load_checkpoint, save_model
from isomer.model.config import IsomerConfig
from isomer.model.network import Isomer
from isomer.train import loop
from isomer.train.batch_norm import SharedBatchNorm2d
from isomer.train.build import MicroBatches, build_model, build_optimizer, build_samples
from isomer.train.checkpoint import Checkpoint
from isomer.train.config import OptimizerConfig, TrainConfig, load_config
from isomer.train.ema import MovingAverage
from isomer.train.log import Log
from isomer.train.loop import train
from isomer.train.validation import Validator


def curve(output: Path, name: str = "loss/total") -> dict[int, float]:
    events = EventAccumulator(str(output / "tensorboard"))
    events.Reload()
    return {event.step: event.value for event in events.Scalars(name)}


def weights(output: Path) -> bytes:
    return (output / "last.safetensors").read_bytes()


@pytest.mark.parametrize("encoder", ["mobilenet_v2", "efficientnet_lite0", "mit_b0", "swin_tiny"])
def test_every_weight_receives_a_gradient(recipe: Path, encoder: str) -> None:
    torch.manual_seed(0)
    config = load_config(recipe, [f"model.encoder={encoder}"])
    model = build_model(config.model).train()
    samples = build_samples(config)
    loop._losses(model, model, collate([samples[i] for i in range(4)]), config.loss).sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_frozen_parts_stay_and_all_others_are_trained(recipe: Path) -> None:
    config = load_config(recipe, ["model.freeze=[stem, blocks.1]", "optimizer.steps=3"])
    before = build_model(config.model)
    frozen = {name for name, p in before.named_parameters() if not p.requires_grad}
    assert frozen
    assert all(name.split(".", 1)[1].startswith(("stem.", "blocks.1.")) for name in frozen)
    grouped = {id(p) for group in build_optimizer(before, config.optimizer).param_groups for p in group["params"]}
    assert grouped == {id(p) for name, p in before.named_parameters() if name not in frozen}
    torch.manual_seed(config.seed)
    start = dict(build_model(config.model).named_parameters())
    assert train(config)
    end = dict(load_checkpoint(config.output / "last.safetensors").named_parameters())
    same = {name for name in start if torch.equal(start[name], end[name])}
    assert same == frozen


def test_optimizer_groups_are_the_published_ones(recipe: Path) -> None:
    config = load_config(recipe)
    model = build_model(config.model)
    names = {id(p): name for name, p in model.named_parameters()}
    for group in build_optimizer(model, config.optimizer).param_groups:
        for p in group["params"]:
            encoder = names[id(p)].startswith("backbone")
            assert group["peak"] == (1.2e-4 if encoder else 6e-4)
            assert group["weight_decay"] == (0.01 if p.ndim > 1 else 0)


class Killed(BaseException):
    """Stands for a process that dies: nothing in the loop may catch it."""


def train_until_killed(config: TrainConfig, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a run that dies in a step, before the step is saved."""
    note = Log.step

    def die(self: Log, now: int, *arguments: object) -> None:
        note(self, now, *arguments)  # type: ignore[arg-type]
        if now == step:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Log, "step", die)
        with pytest.raises(Killed):
            train(config)


@pytest.mark.parametrize("step", [1, 3])
def test_a_killed_run_resumes_exactly(recipe: Path, step: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MiT-B0 has drop path, so random numbers count too; workers and the saved step are not in step."""
    recipe_options = ["model.encoder=mit_b0", "save_every=2", "optimizer.steps=5", "data.workers=0"]
    whole = load_config(recipe, [*recipe_options, f"output={tmp_path / 'whole'}"])
    assert train(whole)

    config = load_config(recipe, recipe_options)
    train_until_killed(config, step, monkeypatch)
    resumable = (config.output / "last.pt").exists()
    assert resumable == (step > 1)
    assert train(config, resume=resumable)
    assert weights(config.output) == weights(whole.output)
    assert curve(config.output) == curve(whole.output)


TRAPEZOID = ["save_every=1", "optimizer.schedule=trapezoid", "optimizer.decay=2", "data.finish_sizes=[96]"]


@pytest.mark.parametrize(("saved", "steps", "decay"), [(3, 6, 2), (2, 4, 2), (1, 3, 2), (3, 4, 1), (1, 5, 4)])
def test_a_run_before_its_decay_can_be_given_more_or_fewer_steps(
    recipe: Path, saved: int, steps: int, decay: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It becomes, bit for bit, the run that had so many from the start; the finish at another size comes along."""
    changed = [*TRAPEZOID, f"optimizer.steps={steps}", f"optimizer.decay={decay}"]
    whole = load_config(recipe, [*changed, f"output={tmp_path / 'whole'}"])
    assert train(whole)
    first = load_config(recipe, [*TRAPEZOID, "optimizer.steps=5"])
    train_until_killed(first, saved, monkeypatch)
    assert train(load_config(recipe, changed), resume=True)
    assert weights(first.output) == weights(whole.output)
    assert curve(first.output) == curve(whole.output)


def test_a_run_that_decayed_keeps_its_number_of_steps(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["save_every=1", "optimizer.steps=3"]
    for schedule in (TRAPEZOID, ["optimizer.schedule=cosine"], ["optimizer.schedule=constant"]):
        output = recipe.parent / str(len(schedule)) / schedule[0]
        command = [str(recipe), *options, *schedule, f"output={output}"]
        assert main(["train", *command]) == 0
        code = main(["train", "--resume", *command, "optimizer.steps=4"])
        if "optimizer.schedule=constant" in schedule:
            assert code == 0
            continue
        assert code == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "last.pt: optimizer.steps and decay were 3 and " in error
        assert "when the run began, and its 3 steps depend on them; set them back" in error


def test_ctrl_c_writes_a_checkpoint_and_resumes_exactly(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["save_every=100", "data.workers=1"]
    assert main(["train", str(recipe), f"output={tmp_path / 'whole'}", *options]) == 0
    note = Log.step

    def interrupt(self: Log, now: int, *arguments: object) -> None:
        note(self, now, *arguments)  # type: ignore[arg-type]
        if now == 0:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(Log, "step", interrupt)
        assert main(["train", str(recipe), *options]) == 130
    assert signal.getsignal(signal.SIGINT) is handler
    assert "--resume" in capsys.readouterr().out
    assert max(curve(tmp_path / "run")) < 4
    assert main(["train", str(recipe), *options]) == 2  # a run is there
    assert main(["train", "--resume", str(recipe), "optimizer.learning_rate=1e-3", *options]) == 2
    assert "optimizer.learning_rate was different" in capsys.readouterr().err
    assert main(["train", "--resume", str(recipe), *options]) == 0
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")
    assert main(["train", "--resume", str(recipe), *options]) == 0  # nothing left to do
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_the_command_keeps_freed_memory_and_the_library_does_not(recipe: Path, kept_memory: list[None]) -> None:
    options = ["optimizer.steps=1", "optimizer.warmup=0"]
    assert train(load_config(recipe, options))
    assert kept_memory == []
    assert main(["train", "--resume", str(recipe), *options]) == 0
    assert kept_memory == [None]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc alone")
def test_freed_memory_is_kept() -> None:
    """Large blocks come from the heap, and the heap does not shrink: the second time no page is fresh."""
    code = """
import resource
from isomer.train.allocator import keep_freed_memory
keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytes(bytearray(b"x") * (64 << 20))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults(), faults())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second = map(int, done.stdout.split())
    assert second < first / 10


def test_a_loss_that_is_not_finite_stops_with_the_names_of_the_files(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(recipe)
    honest = loop._losses
    calls = []

    def spoiled(*arguments: object) -> torch.Tensor:
        calls.append(1)
        return honest(*arguments) * (float("nan") if len(calls) == 3 else 1)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "_losses", spoiled)
    with pytest.raises(InputError, match=r"not_finite_0\.json: .*step 2"):
        train(config)
    report = json.loads((config.output / "not_finite_0.json").read_text())
    samples = build_samples(config)
    assert report["sources"] == [list(samples[i].sources) for i in range(8, 12)]
    kept = load_checkpoint(config.output / "last.safetensors")
    assert all(p.isfinite().all() for p in kept.parameters())


def test_a_full_disk_loses_no_earlier_checkpoint(recipe: Path) -> None:
    config = load_config(recipe, ["optimizer.steps=1"])
    assert train(config)
    before = (config.output / "last.pt").read_bytes()
    longer = load_config(recipe, ["optimizer.steps=1", "seed=5"])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    (config.output / "last.pt").rename(config.output / "kept.pt")
    checkpoint = config.output / "last.pt"
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        with pytest.raises(InputError, match="cannot be written") as error:
            train(longer)
        assert str(error.value).count("last.pt") == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert not checkpoint.exists()
    assert (config.output / "kept.pt").read_bytes() == before
    assert not [path for path in config.output.iterdir() if path.name.startswith(".")]


def test_a_run_resumes_from_its_own_state_alone(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_config(recipe, ["optimizer.steps=1"])
    assert train(config)
    path = config.output / "last.pt"
    command = ["train", "--resume", str(recipe), "optimizer.steps=1"]
    assert main([*command, "hardware.precision=bf16-mixed"]) == 2
    assert "hardware.precision was different" in capsys.readouterr().err

    state = torch.load(path, weights_only=True)
    older = json.loads(state["config"])
    del older["loss"]["boundary"], older["hardware"]["threads"]  # as if these keys were newer
    torch.save(state | {"config": json.dumps(older)}, path)
    assert main(command) == 0

    for damaged in ([], {}, state | {"config": "{"}, {k: v for k, v in state.items() if k != "optimizer"}):
        torch.save(damaged, path)
        capsys.readouterr()
        assert main(command) == 2
        assert "not readable as the state of a run" in capsys.readouterr().err


def test_another_validation_starts_the_best_score_anew(recipe: Path, tmp_path: Path) -> None:
    fabric, path = Fabric(accelerator="cpu"), tmp_path / "last.pt"
    first = load_config(recipe, ["validation.path=videos"])
    model = build_model(first.model)
    average = MovingAverage(model, first.optimizer.ema)
    optimizer = build_optimizer(model, first.optimizer)
    Checkpoint(path, first).save(fabric, model, average, optimizer, 3, 0.5)
    assert Checkpoint(path, first).restore(fabric, model, average, optimizer) == (3, 0.5)
    other = load_config(recipe, ["validation.path=videos", "validation.stride=2"])
    assert Checkpoint(path, other).restore(fabric, model, average, optimizer) == (3, -1.0)


def test_two_runs_do_not_share_a_folder(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".isomer-lock").touch()  # left by a process that was killed
    note, codes = Log.step, []

    def step(self: Log, now: int, *arguments: object) -> None:
        note(self, now, *arguments)  # type: ignore[arg-type]
        if now < 2 and len(codes) == now:  # before and after the first checkpoint
            codes.append(-1)
            codes[now] = main(["train", str(recipe), *now * ["--resume"]])

    monkeypatch.setattr(Log, "step", step)
    assert main(["train", str(recipe)]) == 0
    assert codes == [2, 2]
    assert (
        capsys.readouterr().err
        == 2 * f"isomer: {tmp_path / 'run'}: another process writes to it; wait for it, or choose another output\n"
    )
    assert not (tmp_path / "run" / ".isomer-lock").exists()


def test_an_output_that_cannot_be_is_refused_first(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = load_config(recipe, [f"output={tmp_path / 'file/run'}", "data.root=nowhere"])
    with pytest.raises(InputError, match="file/run: cannot be written to"):
        train(config)


def test_validation_with_stored_flow_too_is_the_mean_of_both(recipe: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "videos", tmp_path / "val")
    options = ["validation.path=val", "validation.stride=1", "validation.size=[64, 64]"]
    config = load_config(recipe, [*options, "validation.sequences=['1', '4']"])
    assert config.validation is not None
    torch.manual_seed(0)
    model = build_model(config.model).eval()
    both = Validator(config.validation, tmp_path)
    assert list(both.sequences) == ["1", "4"]
    scores = both(model)
    assert scores["J&F"] == pytest.approx((scores["J&F DIS"] + scores["J&F stored"]) / 2)
    assert scores["J&F"] == pytest.approx((scores["J"] + scores["F"]) / 2)
    assert scores["J"] == pytest.approx((scores["J/1"] + scores["J/4"]) / 2)
    assert scores["J&F DIS"] != scores["J&F stored"]

    (tmp_path / "val/4/flow/00001.png").unlink()
    alone = Validator(config.validation, tmp_path)(model)
    assert alone["J&F"] == scores["J&F DIS"]
    assert not any("stored" in name for name in alone)
    without = load_config(recipe, [*options, "validation.exclude=['0', '2']"]).validation
    assert without is not None
    assert list(Validator(without, tmp_path).sequences) == ["1", "3", "4", "5"]


def test_sequences_to_train_on_are_chosen_by_name(recipe: Path, data: Path) -> None:
    videos = build_samples(load_config(recipe, ["data.videos=[{path: videos, exclude: ['0', '3']}]"])).videos
    assert [video.name for video in videos] == ["1", "2", "4", "5"]
    with pytest.raises(InputError, match=rf"^{data / 'videos'}: goose: there is no sequence"):
        build_samples(load_config(recipe, ["data.videos=[{path: videos, sequences: [goose]}]"]))


def test_validation_images_of_unequal_size_are_refused(recipe: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "videos" / "0", tmp_path / "val" / "0")
    mask = sorted((tmp_path / "val/0/masks").iterdir())[1]
    write_image(mask, read_gray(mask)[:10])
    config = load_config(recipe, ["validation.path=val", "validation.stride=1"])
    assert config.validation is not None
    with pytest.raises(InputError, match="not of the size"):
        Validator(config.validation, tmp_path)


def test_shared_batch_norm_takes_half_precision(tmp_path: Path) -> None:
    shared, single = SharedBatchNorm2d(3), nn.BatchNorm2d(3)
    x = (3 * torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)) + 1).bfloat16()
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            normal = shared(x)
    finally:
        dist.destroy_process_group()
    assert normal.dtype == torch.bfloat16
    torch.testing.assert_close(normal, single(x.float()).bfloat16())
    torch.testing.assert_close(shared.running_mean, single.running_mean)
    torch.testing.assert_close(shared.running_var, single.running_var)


def test_two_processes_are_one_with_twice_the_batch(recipe: Path, tmp_path: Path) -> None:
    options = ["optimizer.steps=4", "model.fusion=isomer", "optimizer.warmup=0"]
    alone = load_config(recipe, [*options, f"output={tmp_path / 'alone'}"])
    assert train(alone)
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "--no-python",
    ]
    isomer = str(Path(sys.executable).with_name("isomer"))
    command = [*launch, isomer, "train", str(recipe), *options, "hardware.devices=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
    shared, single = curve(tmp_path / "run"), curve(alone.output)
    assert shared.keys() == single.keys() == {1, 2, 3, 4}
    for step, value in single.items():
        assert shared[step] == pytest.approx(value, rel=2e-4)
    assert curve(tmp_path / "run", "gradient_norm")[4] == pytest.approx(
        curve(alone.output, "gradient_norm")[4], rel=5e-3
    )


def test_accumulated_gradients_are_those_of_the_whole_batch(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch statistics aside, which belong to each pass: they are fixed here."""
    monkeypatch.setattr(nn.BatchNorm2d, "train", lambda self, mode=True: nn.Module.train(self, False))
    norms = {}
    for passes in (1, 4):
        config = load_config(recipe, [f"optimizer.accumulate={passes}", f"output={recipe.parent / str(passes)}"])
        assert train(config)
        norms[passes] = curve(config.output, "gradient_norm")
    first = min(norms[1])
    assert norms[4][first] == pytest.approx(norms[1][first], rel=1e-3)
    assert norms[4] == pytest.approx(norms[1], rel=2e-2)  # Adam's first steps amplify rounding


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))
def test_processes_share_each_sample_once(processes: int, accumulate: int, size: int, start: int) -> None:
    batch = processes * accumulate * size
    config = OptimizerConfig(steps=4, batch=batch, accumulate=accumulate)
    lists = [list(MicroBatches(config, start, rank, processes)) for rank in range(processes)]
    assert all(len(part) == size for parts in lists for part in parts)
    for step in range(4 - start):
        seen = [i for parts in lists for part in parts[step * accumulate : (step + 1) * accumulate] for i in part]
        assert sorted(seen) == list(range((start + step) * batch, (start + step + 1) * batch))


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(InputError, match=r"optimizer\.batch"):
        MicroBatches(OptimizerConfig(steps=1, batch=6), 0, 0, 4)


def test_the_dry_run_counts_and_writes_nothing(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--dry-run", str(recipe), "validation.path=videos", "model.freeze=[stem]"]) == 0
    out = capsys.readouterr().out
    model = Isomer(IsomerConfig("mobilenet_v2", head_width=16))
    frozen = 2 * sum(p.numel() for p in model.backbone_x.stem.parameters())  # type: ignore[union-attr]
    trained = sum(p.numel() for p in model.parameters()) - frozen
    for text in (f"{trained:,} trained, {frozen:,} frozen", "12 from stills", "backgrounds 12",
                 "6 sequences, 18 pairs", "4 of 4 samples: 16"):  # fmt: skip
        assert text in out
    assert not (recipe.parent / "run").exists()


def test_a_stage_starts_from_the_one_before(recipe: Path, tmp_path: Path) -> None:
    torch.manual_seed(9)
    start = Isomer(IsomerConfig(head_width=16))
    save_model(start, tmp_path / "start.safetensors")
    built = build_model(load_config(recipe, [f"model.init={tmp_path / 'start.safetensors'}"]).model)
    for name, value in built.state_dict().items():
        assert torch.equal(value, start.state_dict()[name])
    shipped = ["model.encoder=efficientnet_lite0", "model.init=isomer_efficientnet_lite0", "model.head_width=64"]
    assert build_model(load_config(recipe, shipped).model).training
    with pytest.raises(InputError, match="head_width"):
        build_model(load_config(recipe, [f"model.init={tmp_path / 'start.safetensors'}", "model.head_width=8"]).model)


def test_200_steps_lower_the_validation_error(recipe: Path) -> None:
    options = ["optimizer.steps=200", "optimizer.batch=8", "optimizer.ema=0.95", "optimizer.warmup=20",
               "optimizer.encoder_learning_rate=6e-4", "optimizer.learning_rate=2e-3", "data.real=0",
               "log_every=50", "save_every=200", "validation.path=videos", "validation.every=100",
               "validation.stride=1", "validation.size=[64, 64]"]  # fmt: skip
    config = load_config(recipe, options)
    assert config.validation is not None
    torch.manual_seed(config.seed)
    start = Validator(config.validation, config.data.root)(build_model(config.model).eval())
    assert train(config)
    scores = curve(config.output, "validation/J&F")
    assert set(scores) == {100, 200}
    assert 1 - scores[200] < 0.8 * (1 - start["J&F"])
    losses = curve(config.output)
    assert losses[200] < 0.8 * losses[50]
    best = load_checkpoint(config.output / "best.safetensors")
    again = Validator(config.validation, config.data.root)(best)
    assert again["J&F"] == pytest.approx(max(scores.values()), abs=2e-3)

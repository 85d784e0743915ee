"""Pruning against brute force, and from a recipe to a smaller file of weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch import Tensor

from isomer.cli.main import main
from isomer.errors import InputError
from isomer.model.checkpoint import load_checkpoint, save_model
from isomer.model.config import IsomerConfig
from isomer.model.ffn import FeedForward
from isomer.model.hidden import hidden_blocks
from isomer.model.network import Isomer
from isomer.train.build import build_model
from isomer.train.config import load_config
from isomer.train.pruning import channels_to_keep, prune


def pairs(count: int = 2, side: int = 64) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [tuple(torch.randn(2, 2, 3, side, side, generator=generator)) for _ in range(count)]  # type: ignore[misc]


@pytest.fixture(scope="module")
def network() -> Isomer:
    torch.manual_seed(0)
    return Isomer(IsomerConfig(head_width=16)).eval()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), tolerance=st.floats(0, 0.6))
def test_channels_go_in_the_order_of_a_search_that_fits_every_candidate(seed: int, tolerance: float) -> None:
    """Each time, the channel without which least squares on the samples themselves leaves the least error."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 16)) + 0.3 * rng.normal(size=(200, 16))
    samples -= samples.mean(0)
    weight = rng.normal(size=(3, 16))
    output = samples @ weight.T

    def error(channels: list[int]) -> float:
        fit = np.linalg.lstsq(samples[:, channels], output, rcond=None)[0]
        return float(np.square(samples[:, channels] @ fit - output).sum() / np.square(output).sum())

    left, removed = list(range(16)), []
    while len(left) > 1:
        least, worst = min((error([c for c in left if c != i]), i) for i in left)
        if least > tolerance:
            break
        left.remove(worst)
        removed.append(worst)
    while len(left) % 8:
        left.append(removed.pop())

    covariance = torch.from_numpy(samples.T @ samples / len(samples))
    assert channels_to_keep(torch.from_numpy(weight), covariance, tolerance).tolist() == sorted(left)


@torch.no_grad()
def test_a_channel_that_repeats_others_is_left_out_and_the_output_stays(network: Isomer) -> None:
    network = load_copy(network)
    ffn = network.get_submodule("fusion_module1.transformer_ffn_layers.0")
    assert isinstance(ffn, FeedForward)
    for tensor in (ffn.linear1.weight, ffn.linear1.bias, ffn.dwconv.dwconv.weight, ffn.dwconv.dwconv.bias):
        assert tensor is not None
        tensor.copy_(tensor[:8].repeat(32, *[1] * (tensor.ndim - 1)))
    pruned = prune(network, pairs(), 0.01, ["fusion_module1"])
    assert pruned.config.hidden == {"fusion_module1.transformer_ffn_layers.0": 8}
    for inputs in pairs():
        torch.testing.assert_close(pruned(*inputs), network(*inputs), atol=2e-3, rtol=2e-3)


def load_copy(network: Isomer) -> Isomer:
    copy = Isomer(network.config).eval()
    copy.load_state_dict(network.state_dict())
    return copy


@torch.no_grad()
def test_the_more_may_be_lost_the_fewer_channels_stay(network: Isomer) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    parts = ["backbone_y.blocks.3", "fusion_module0"]
    errors, counts = [], []
    for tolerance in (1e-9, 0.02, 0.3):
        pruned = prune(network, pairs(), tolerance, parts)
        blocks = hidden_blocks(pruned)
        widths = {"backbone_y.blocks.3": 144, "fusion_module0.transformer_ffn_layers.0": 192} | pruned.config.hidden
        assert widths == {name: blocks[name].width for name in widths}
        counts.append(sum(widths.values()))
        errors.append(float((pruned(*pairs()[0]) - network(*pairs()[0])).square().mean()))
    assert errors[0] < 1e-6
    assert errors == sorted(errors)
    assert 144 + 192 >= counts[0] > counts[1] > counts[2]
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert network.config.hidden == {}


@torch.no_grad()
def test_all_but_the_frames_encoder_is_pruned_unless_parts_are_named(network: Isomer) -> None:
    widths = {name: block.width for name, block in hidden_blocks(network).items()}
    pruned = prune(network, pairs(side=32), 0.9)
    assert list(pruned.config.hidden) == [name for name in widths if not name.startswith("backbone_x")]
    assert all(count < widths[name] for name, count in pruned.config.hidden.items())


def test_a_part_without_hidden_channels_is_refused_by_name(network: Isomer) -> None:
    with pytest.raises(InputError, match=r"^decode_head: .*backbone_x, backbone_y, fusion_module0"):
        prune(network, pairs(), 0.1, ["fusion_module0", "decode_head"])


def test_the_command_writes_a_smaller_network_that_is_trained_on(recipe: Path, tmp_path: Path, network: Isomer) -> None:
    start, output = tmp_path / "start.safetensors", tmp_path / "pruned.safetensors"
    save_model(network, start)
    command = ["prune", "--model", str(start), "-o", str(output), "--batches", "2", "--tolerance", "0.5", "--half"]
    command += ["--part", "fusion_module0", "--part", "backbone_y.blocks.1"]
    assert main([*command, str(recipe)]) == 0
    first = output.read_bytes()
    assert main([*command, str(recipe)]) == 0
    assert output.read_bytes() == first

    pruned = load_checkpoint(output)
    hidden = pruned.config.hidden
    assert list(hidden) == ["backbone_y.blocks.1", "fusion_module0.transformer_ffn_layers.0"]
    assert hidden["backbone_y.blocks.1"] < 96
    assert hidden["fusion_module0.transformer_ffn_layers.0"] < 192
    with safe_open(output, "pt") as file:
        assert "tolerance 0.5, 2 batches" in file.metadata()["isomer"]
    built = build_model(load_config(recipe, [f"model.init={output}"]).model)
    assert built.config == pruned.config
    assert built.training
    again = prune(built.eval(), pairs(), 0.5, ["fusion_module1"])
    assert again.config.hidden.keys() == hidden.keys() | {"fusion_module1.transformer_ffn_layers.0"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tolerance", "1"], "--tolerance 1"),
        (["--batches", "0"], "--batches"),
        (["--part", "head"], "head: "),
        (["-o", "pruned.pth"], r"pruned.pth: must end in .safetensors"),
        (["--model", "none.safetensors"], "none.safetensors: "),
    ],
)
def test_bad_options_of_the_command_are_refused(
    recipe: Path,
    tmp_path: Path,
    network: Isomer,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    save_model(network, tmp_path / "start.safetensors")
    output = tmp_path / "pruned.safetensors"
    command = ["prune", "--model", str(tmp_path / "start.safetensors"), "-o", str(output), *options, str(recipe)]
    assert main(command) == 2
    assert capsys.readouterr().err.startswith(f"isomer: {message}")
    assert not output.exists()

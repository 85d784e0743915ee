"""The paper's two encoders against `transformers`, dense windowed attention and the published names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from isomer.model.encoders.drop_path import DropPath, drop_path_rates
from isomer.model.encoders.mit import MiTB0
from isomer.model.encoders.swin import Block, SwinTiny, _shift_mask

ENCODERS = {"mit_b0": MiTB0, "swin_tiny": SwinTiny}


def randomised(module: nn.Module, seed: int = 0) -> nn.Module:
    """Move every parameter away from its initial value: zero biases and unit scales hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def image(height: int, width: int, batch: int = 1, seed: int = 1) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(seed))


def assert_maps_agree(ours: tuple[Tensor, ...], theirs: list[Tensor]) -> None:
    for stage, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        assert mine.shape == other.shape
        scale = other.abs().max().item()
        assert (mine - other).abs().max().item() < 1e-4 * max(scale, 1.0), f"stage {stage + 1}"


# --- the names of the published checkpoint


@pytest.mark.parametrize("name", ENCODERS)
def test_tensor_names_and_shapes_are_the_published_ones(name: str, shared: Path) -> None:
    published = json.loads((shared / "reference" / f"state_dict_{name}.json").read_text())
    prefix = "backbone_x."
    expected = {key[len(prefix) :]: shape for key, shape in published.items() if key.startswith(prefix)}
    ours = {key: list(value.shape) for key, value in ENCODERS[name]().state_dict().items()}
    assert ours == expected


# --- against transformers


def _rename(key: str, renames: tuple[tuple[str, str], ...]) -> str:
    for ours, theirs in renames:
        key = key.replace(ours, theirs)
    return key


@torch.no_grad()
def test_mit_agrees_with_transformers() -> None:
    transformers = pytest.importorskip("transformers", minversion="5.23")
    ours = randomised(MiTB0())
    weights: dict[str, Tensor] = {}
    for key, value in ours.state_dict().items():
        part, _, rest = key.partition(".")
        stage = f"stages.{int(part[-1]) - 1}"
        if part.startswith("patch_embed"):
            weights[f"{stage}.patch_embeddings.{rest.replace('norm', 'layer_norm')}"] = value
        elif part.startswith("norm"):
            weights[f"{stage}.layer_norm.{rest}"] = value
        elif ".attn.kv." in key:
            for name, half in zip(("k_proj", "v_proj"), value.chunk(2), strict=True):
                weights[f"{stage}.blocks.{rest.replace('attn.kv', f'attention.{name}')}"] = half
        else:
            renames = (
                ("attn.q", "attention.q_proj"),
                ("attn.proj", "attention.o_proj"),
                ("attn.sr", "attention.sequence_reduction.sequence_reduction"),
                ("attn.norm", "attention.sequence_reduction.layer_norm"),
                ("norm1", "layernorm_before"),
                ("norm2", "layernorm_after"),
            )
            weights[f"{stage}.blocks.{_rename(rest, renames)}"] = value
    theirs = transformers.SegformerModel(transformers.SegformerConfig()).eval()
    theirs.load_state_dict(weights)
    for size in ((64, 96), (160, 32)):
        x = image(*size, batch=2)
        assert_maps_agree(ours(x), list(theirs(x, output_hidden_states=True).hidden_states))


@torch.no_grad()
def test_swin_agrees_with_transformers() -> None:
    transformers = pytest.importorskip("transformers", minversion="5.23")
    ours = randomised(SwinTiny())
    renames = (
        ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
        ("patch_embed.norm", "embeddings.norm"),
        ("layers.", "encoder.layers."),
        ("attn.proj", "attention.o_proj"),
        ("attn.relative", "attention.relative_position_bias.relative"),
        ("norm1", "layernorm_before"),
        ("norm2", "layernorm_after"),
    )
    weights: dict[str, Tensor] = {}
    for key, value in ours.state_dict().items():
        name = _rename(key, renames)
        if "attn.qkv" in name:
            for projection, third in zip(("q_proj", "k_proj", "v_proj"), value.chunk(3), strict=True):
                weights[name.replace("attn.qkv", f"attention.{projection}")] = third
        else:
            weights[name] = value
    config = transformers.SwinConfig(depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], image_size=256)
    theirs = transformers.SwinModel(config, add_pooling_layer=False).eval()
    report = theirs.load_state_dict(weights, strict=False)
    assert not report.unexpected_keys
    extra = ("layernorm.", "relative_position_index")  # the model's own output norm, and what is computed
    assert [key for key in report.missing_keys if not any(part in key for part in extra)] == []
    maps: list[Tensor] = []
    for stage in theirs.encoder.layers:  # the stage's own output, before the merging
        stage.blocks[-1].register_forward_hook(
            lambda _module, _inputs, output: maps.append(output if isinstance(output, Tensor) else output[0])
        )
    height, width = 256, 320
    x = image(height, width)
    theirs(x)
    sizes = [(height // stride, width // stride) for stride in (4, 8, 16, 32)]
    maps = [tokens.transpose(1, 2).unflatten(2, size) for tokens, size in zip(maps, sizes, strict=True)]
    assert_maps_agree(ours(x), maps)


# --- Swin's windows, said densely


def dense_window_attention(block: Block, x: Tensor, shift: int) -> Tensor:
    """Every pair of pixels at once: they see each other when they lie in one cell of the shifted 7x7 grid.

    The grid is not rolled and not cut into windows; zeros stand where the map is padded to multiples of 7.
    """
    _, height, width, dim = x.shape
    x = F.pad(x, (0, 0, 0, -width % 7, 0, -height % 7))
    rows, columns = x.shape[1:3]
    places = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
    cells = (places - shift).div(7, rounding_mode="floor")
    together = (cells[:, None] == cells[None]).all(-1)
    offset = places[:, None] - places[None] + 6
    table = block.attn.relative_position_bias_table
    bias = table[(offset @ torch.tensor([13, 1])).where(together, 0)].permute(2, 0, 1)
    heads = block.attn.heads
    q, k, v = block.attn.qkv(x.flatten(1, 2)).unflatten(2, (3, heads, dim // heads)).permute(2, 0, 3, 1, 4)
    scores = q @ k.transpose(2, 3) / (dim // heads) ** 0.5 + bias
    out = scores.masked_fill(~together, -torch.inf).softmax(-1) @ v
    return block.attn.proj(out.transpose(1, 2).flatten(2)).unflatten(1, (rows, columns))[:, :height, :width]


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("size", [(7, 7), (1, 3), (8, 10), (14, 21), (16, 9)])
@torch.no_grad()
def test_swin_block_equals_dense_attention(size: tuple[int, int], shifted: bool) -> None:
    block = randomised(Block(24, 3, shifted=shifted, drop_path=0.0))
    assert isinstance(block, Block)
    x = torch.randn(2, *size, 24, generator=torch.Generator().manual_seed(3))
    attended = x + dense_window_attention(block, block.norm1(x), 3 if shifted else 0)
    expected = attended + block.mlp(block.norm2(attended))
    mask = _shift_mask(*(side + -side % 7 for side in size), like=x)
    torch.testing.assert_close(block(x, mask), expected, atol=1e-5, rtol=1e-5)


# --- both


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("size", [(32, 32), (64, 160), (224, 32)])
@torch.no_grad()
def test_maps_have_the_promised_shapes(name: str, size: tuple[int, int]) -> None:
    encoder = ENCODERS[name]().eval()
    maps = encoder(image(*size, batch=2))
    height, width = size
    expected = [(2, c, height // s, width // s) for c, s in zip(encoder.channels, (4, 8, 16, 32), strict=True)]
    assert [tuple(m.shape) for m in maps] == expected
    assert all(m.isfinite().all() for m in maps)


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_a_sample_does_not_depend_on_its_batch(name: str) -> None:
    encoder = randomised(ENCODERS[name]())
    batch = image(64, 96, batch=3)
    alone = encoder(batch[1:2])
    assert_maps_agree(tuple(m[1:2] for m in encoder(batch)), list(alone))


@pytest.mark.parametrize("name", ENCODERS)
def test_every_parameter_learns(name: str) -> None:
    encoder = ENCODERS[name](drop_path=0.0)
    sum(m.square().mean() for m in encoder(image(64, 64))).backward()
    assert [key for key, p in encoder.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", ENCODERS)
@torch.no_grad()
def test_drop_path_acts_in_training_only(name: str) -> None:
    encoder = ENCODERS[name](drop_path=0.5)
    x = image(32, 32)
    torch.manual_seed(0)
    first, second = encoder.train()(x)[3], encoder(x)[3]
    assert not torch.equal(first, second)
    assert torch.equal(encoder.eval()(x)[3], encoder(x)[3])


def test_drop_path_keeps_the_mean_and_drops_whole_samples() -> None:
    torch.manual_seed(0)
    out = DropPath(0.25)(torch.ones(20_000, 2, 3))
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert out.mean().item() == pytest.approx(1.0, abs=0.02)


def test_drop_path_rates_grow_linearly_over_all_blocks() -> None:
    rates = drop_path_rates((1, 2, 2), 0.2)
    assert [len(stage) for stage in rates] == [1, 2, 2]
    assert [*rates[0], *rates[1], *rates[2]] == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])

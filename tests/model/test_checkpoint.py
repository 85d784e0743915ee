"""Round trips, the published layout and its figures, and every refusal."""

from __future__ import annotations

import errno
import itertools
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_efficientnet import SCALES, random_state
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from isomer.errors import InputError
from isomer.model import weights
from isomer.model.checkpoint import load_checkpoint, load_encoder, save_model
from isomer.model.config import IsomerConfig
from isomer.model.encoders import ENCODERS
from isomer.model.network import Isomer
from isomer.model.zoo import create_model, list_models

MIT = IsomerConfig("mit_b0", "published")


def refusal(path: Path | str, call: Callable[[Any], object] = load_checkpoint) -> str:
    """The one line a bad file is refused with; it starts with the file's name."""
    with pytest.raises(InputError) as caught:
        call(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 400
    assert "; " in message  # what to do
    return message


@pytest.fixture(scope="module")
def model() -> Isomer:
    """The smallest network, no parameter at its initial value."""
    torch.manual_seed(0)
    model = Isomer(IsomerConfig("mobilenet_v2", head_width=8)).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.05 * torch.rand_like(tensor))
    return model


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """A state dict in the published layout of MiT-B0, dead SGST branches included."""
    torch.manual_seed(1)
    state = dict(Isomer(IsomerConfig("mit_b0")).state_dict())
    return {name: torch.randn_like(t) if t.is_floating_point() else t for name, t in state.items()}


def assert_same_weights(a: Isomer, b: Isomer) -> None:
    first, second = a.state_dict(), b.state_dict()
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


# --- the published checkpoints


@pytest.mark.parametrize("encoder", ["mit_b0", "swin_tiny"])
@torch.no_grad()
def test_published_checkpoint_reproduces_the_published_network(encoder: str, shared: Path, tmp_path: Path) -> None:
    sys.path.insert(0, str(shared / "reference"))
    try:
        from fill import fill, inputs, shapes
    finally:
        sys.path.pop(0)
    # The dead branches' matrices are half of the file and never read: their vectors stand for them.
    wanted = {name: s for name, s in shapes(encoder).items() if not re.search(r"\.[fb]g_", name) or len(s) == 1}
    network = {f"module.{name}": torch.from_numpy(array) for name, array in fill(wanted).items()}
    if encoder == "swin_tiny":  # buffers that the published files have besides
        network["module.backbone_x.layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(49, 49).long()
        network["module.backbone_x.layers.0.blocks.1.attn_mask"] = torch.zeros(64, 49, 49)
    path = tmp_path / "isomer.pth"
    torch.save({"epoch": 3, "network": network, "optimizer": {"state": {}, "param_groups": []}}, path)

    model = load_checkpoint(path)
    assert not model.training
    assert model.config.encoder == encoder
    stages: list[Tensor] = []
    for index in range(4):
        fusion = model.get_submodule(f"fusion_module{index}")
        fusion.register_forward_hook(lambda _module, _inputs, output: stages.append(output[0].mean((2, 3))))
    frame, flow = map(torch.from_numpy, inputs())
    logits = model(frame, flow)

    expected = np.load(shared / "reference" / f"expected_{encoder}.npz")
    np.testing.assert_allclose(logits.numpy(), expected["logits"], rtol=0, atol=2e-4)
    for index, mean in enumerate(stages):
        np.testing.assert_allclose(mean.numpy(), expected[f"stage{index + 1}_mean"], rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("prefix", "wrapped", "zipped"), [("module.", True, False), ("", True, True), ("module.", False, True)]
)
def test_published_layout_variants(
    published: dict[str, Tensor], prefix: str, wrapped: bool, zipped: bool, tmp_path: Path
) -> None:
    state = {prefix + name: tensor for name, tensor in published.items()}
    path = tmp_path / "isomer.pth"
    torch.save({"epoch": 1, "network": state} if wrapped else state, path, _use_new_zipfile_serialization=zipped)
    model = load_checkpoint(path)
    assert model.config == IsomerConfig("mit_b0", "published", 64)
    loaded = model.state_dict()
    assert all(torch.equal(tensor, published[name]) for name, tensor in loaded.items())
    left_out = set(published) - set(loaded)
    assert left_out
    assert all(re.match(r"fusion_module[23]\.(fg_|bg_|generate_heat_map)", name) for name in left_out)


# --- our own format


@pytest.mark.parametrize("fusion", ["isomer", "vanilla", "cst", "sgst", "published"])
def test_round_trip_needs_nothing_but_the_file(fusion: Any, tmp_path: Path) -> None:
    model = Isomer(IsomerConfig("mobilenet_v2", fusion, head_width=12)).eval()
    path = tmp_path / "model.safetensors"
    save_model(model, path, {"data": "synthetic"})
    again = load_checkpoint(path)
    assert again.config == model.config
    assert not again.training
    assert_same_weights(again, model)


@pytest.mark.parametrize(("encoder", "kernel"), [("mobilenet_v2", 3), ("efficientnet_lite0", 5)])
def test_a_network_with_fewer_hidden_channels_comes_back_as_it_was(encoder: Any, kernel: int, tmp_path: Path) -> None:
    hidden = {
        "backbone_y.blocks.3": 24,
        "fusion_module0.transformer_ffn_layers.0": 40,
        "fusion_module3.fg_ffn_layers.0": 8,
    }
    model = Isomer(IsomerConfig(encoder, head_width=12, hidden=hidden)).eval()
    save_model(model, tmp_path / "model.safetensors")
    again = load_checkpoint(tmp_path / "model.safetensors")
    assert again.config.hidden == hidden
    assert_same_weights(again, model)
    assert again.state_dict()["backbone_y.blocks.3.depthwise.weight"].shape == (24, 1, kernel, kernel)
    frame, flow = torch.rand(2, 1, 3, 64, 64)
    assert torch.equal(again(frame, flow), model(frame, flow))


@torch.no_grad()
def test_half_precision_keeps_vectors_exact_and_loads_as_float32(model: Isomer, tmp_path: Path) -> None:
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    save_model(model, full)
    save_model(model, half, half=True)
    assert half.stat().st_size < 0.55 * full.stat().st_size
    again = load_checkpoint(half)
    for name, tensor in model.state_dict().items():
        stored = again.state_dict()[name]
        assert stored.dtype == tensor.dtype
        torch.testing.assert_close(stored, tensor, rtol=5e-4 if tensor.ndim > 1 else 0, atol=1e-7 * (tensor.ndim > 1))
    frame, flow = torch.rand(2, 1, 3, 64, 64)
    torch.testing.assert_close(again(frame, flow), model(frame, flow), rtol=0.02, atol=0.02)


def test_same_model_same_bytes_in_any_process(model: Isomer, tmp_path: Path) -> None:
    metadata = {f"key{i}": str(i) for i in range(8)}
    first, second, third = (tmp_path / f"{name}.safetensors" for name in "abc")
    save_model(model, first, metadata)
    save_model(model, second, dict(reversed(metadata.items())))
    script = (
        "import sys; from isomer.model.checkpoint import *; "
        f"save_model(load_checkpoint(sys.argv[1]), sys.argv[2], {metadata!r})"
    )
    subprocess.run([sys.executable, "-c", script, first, third], check=True)
    assert first.read_bytes() == second.read_bytes() == third.read_bytes()


def test_metadata_is_kept_in_the_header(model: Isomer, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_model(model, path, {"training data": "synthetic motion"})
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["isomer"])
    assert header["metadata"] == {"training data": "synthetic motion"}
    assert header["config"] == {"encoder": "mobilenet_v2", "fusion": "isomer", "head_width": 8, "hidden": {}}


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_names_that_are_no_utf8_are_written_and_read(
    model: Isomer, published: dict[str, Tensor], tmp_path: Path
) -> None:
    own, theirs = (tmp_path / os.fsdecode(b"caf\xe9" + suffix) for suffix in (b".safetensors", b".pth"))
    save_model(model, own)
    assert load_checkpoint(own).config == model.config
    with theirs.open("wb") as file:
        torch.save(published, file)
    assert load_checkpoint(theirs).config.encoder == "mit_b0"


def test_unwritable_output_is_refused_and_leaves_nothing(model: Isomer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_model(model, tmp_path / "file" / "model.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_said_and_leaves_nothing(model: Isomer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"cannot be written .*No space left"):
        save_model(model, tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


# --- refusals


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.pth")
    assert "directory" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"a text that is no checkpoint at all\n" * 9, bytes(64)])
def test_foreign_bytes_are_refused_with_the_accepted_formats(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(content)
    message = refusal(path)
    assert ".safetensors" in message
    assert ".pth" in message


@pytest.fixture(scope="module")
def good_files(model: Isomer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small file of each kind that is well-formed up to its last byte."""
    folder = tmp_path_factory.mktemp("good")
    save_model(model, folder / "own")
    encoder = {name: tensor for name, tensor in ENCODERS["mit_b0"]().state_dict().items() if "block1" in name}
    torch.save({"network": encoder}, folder / "zip")
    torch.save({"network": encoder}, folder / "legacy", _use_new_zipfile_serialization=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["own", "zip", "legacy"])
@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_cut_anywhere_is_refused(good_files: dict[str, bytes], kind: str, share: float, tmp_path: Path) -> None:
    whole = good_files[kind]
    path = tmp_path / "cut"
    path.write_bytes(whole[: int(share * len(whole))])
    message = refusal(path)
    # A name that is cut is that of another Python object.
    assert any(reason in message for reason in ("truncated", "not a file of weights", "holds Python objects"))


@pytest.mark.parametrize("kind", ["zip", "legacy"])
@given(place=st.integers(0, 4000), byte=st.integers(0, 255))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_pickle_raises_nothing_but_a_refusal(
    good_files: dict[str, bytes], kind: str, place: int, byte: int, tmp_path: Path
) -> None:
    content = bytearray(good_files[kind])
    content[place % len(content)] = byte
    path = tmp_path / "damaged"
    path.write_bytes(content)
    refusal(path)  # undamaged, it would still be no whole network


class Malicious:
    """What a pickle that runs code looks like."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused_and_not_run(zipped: bool, tmp_path: Path) -> None:
    path, target = tmp_path / "model.pth", tmp_path / "touched"
    torch.save({"network": Malicious(target)}, path, _use_new_zipfile_serialization=zipped)
    assert "can run code" in refusal(path)
    path.write_bytes(pickle.dumps(Malicious(target)))
    refusal(path)
    assert not target.exists()


def test_first_missing_tensor_is_named_with_its_shape(published: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    gone = "backbone_y.block2.1.attn.kv.weight"
    torch.save({"network": {name: t for name, t in published.items() if name != gone}}, path)
    assert f"'{gone}' (128, 64) is missing" in refusal(path)


def test_first_mismatched_tensor_is_named_with_both_shapes(published: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    wrong = "fusion_module1.project.weight"
    torch.save({"network": published | {wrong: torch.zeros(64, 64, 1, 1)}}, path)
    assert f"'{wrong}' is (64, 64, 1, 1) where (64, 128, 1, 1) is expected" in refusal(path)


@pytest.mark.parametrize("shape", [(), (8,), (64, 300, 1, 1), (0, 0, 1, 1)])
def test_an_impossible_head_is_refused(published: dict[str, Tensor], shape: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    name = "decode_head.linear_fuse.conv.weight"
    torch.save({"network": published | {name: torch.zeros(shape)}}, path)
    assert f"'{name}' is {shape}" in refusal(path)
    torch.save({"network": {key: t for key, t in published.items() if key != name}}, path)
    assert f"'{name}' is missing" in refusal(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: torch.zeros(1).expand(300, 1200, 1, 1),
        lambda t: torch.as_strided(torch.zeros(1499), (300, 1200, 1, 1), (1, 1, 1, 1)),
        lambda t: torch.empty(t.shape, device="meta"),
        lambda t: t.to_sparse(),
        lambda t: torch.sparse_coo_tensor(torch.zeros(4, 1).long(), torch.zeros(1), (300, 1200, 1, 1)),
        lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8),
        lambda t: t.to(torch.complex64),
        lambda t: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
    ],
    ids=["expanded", "overlapping", "meta", "sparse", "large and sparse", "quantised", "complex", "nested"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of features that PyTorch means to drop
def test_a_tensor_that_the_file_does_not_hold_is_refused(
    published: dict[str, Tensor], spoil: Callable[[Tensor], Tensor], tmp_path: Path
) -> None:
    """Its size, or the network it asks for, would have nothing to do with the file's."""
    path, name = tmp_path / "model.pth", "decode_head.linear_fuse.conv.weight"
    torch.save({"network": published | {name: spoil(published[name])}}, path)
    assert f"the file does not hold all numbers of tensor '{name}'" in refusal(path)


def test_a_compressed_checkpoint_is_refused(published: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({"network": published | {"more": torch.zeros(1 << 20)}}, tmp_path / "plain.pth")
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as small:
        for entry in plain.infolist():
            small.writestr(entry.filename, plain.read(entry))
    assert "states more than it holds" in refusal(path)


@pytest.mark.parametrize("nested", ['{"a":', "["])
def test_a_deeply_nested_header_is_refused(nested: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = (nested * 100_000).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    refusal(path)


def test_a_tensor_of_another_network_is_refused(published: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"network": published | {"backbone_x.block3.2.norm1.weight": torch.ones(160)}}, path)
    assert "'backbone_x.block3.2.norm1.weight' belongs to another network" in refusal(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"fc.weight": torch.zeros(2, 2)}, "'backbone_x.patch_embed.proj.weight'"),
        ({}, "'backbone_x.patch_embed.proj.weight'"),
        ({"network": 3}, "holds no dict of tensors"),
        ({"network": {"a": "text"}}, "entry 'a' is no tensor"),
        ({"epoch": 4, "model": {}}, "entry 'epoch' is no tensor"),
        (torch.zeros(3), "holds no dict of tensors"),
        ([1, 2], "holds no dict of tensors"),
    ],
)
def test_foreign_pickles_are_refused(content: object, said: str, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(content, path)
    assert said in refusal(path)


def test_safetensors_of_another_project_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"fc.weight": torch.zeros(2, 2)}, path, {"format": "pt"})
    assert "'backbone_x.patch_embed.proj.weight'" in refusal(path)


@pytest.mark.parametrize(
    "header",
    [
        "no json",
        "[]",
        "{}",
        "[" * 100_000,
        '{"config": 3}',
        '{"config": {"encoder": "' + "x" * 9999 + '"}}',
        '{"config": {"encoder": "resnet"}}',
        '{"config": {"encoder": ["mit_b0"]}}',
        '{"config": {"fusion": "sum"}}',
        '{"config": {"depth": 3}}',
        '{"config": {"hidden": [8]}}',
        '{"config": {"hidden": null}}',
        '{"config": {"hidden": {"backbone_x.blocks.1": true}}}',
        '{"config": {"hidden": {"decode_head": 8}}}',
        '{"config": {"hidden": {"backbone_x.blocks.1": 97}}}',
        '{"config": {"hidden": {"backbone_x.blocks.1": 0}}}',
        '{"config": {"hidden": {"backbone_x.blocks.1": "8"}}}',
    ],
)
def test_a_header_from_elsewhere_is_refused(model: Isomer, header: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path, {"isomer": header})
    assert "configuration" in refusal(path)


def test_tensors_of_another_configuration_are_refused(model: Isomer, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(model.state_dict(), path, {"isomer": '{"config": {"encoder": "mit_b0"}}'})
    assert "'backbone_x.patch_embed1.proj.weight' (32, 3, 7, 7) is missing" in refusal(path)


# --- ImageNet encoders


def imagenet_file(name: str) -> dict[str, Any]:
    """What the authors' file of an encoder holds: its tensors, the classifier's, the recomputed buffers."""
    if name in SCALES:
        return random_state(name)
    torch.manual_seed(5)
    state = {key: torch.randn_like(value) for key, value in ENCODERS[name]().state_dict().items()}
    state |= {"head.weight": torch.zeros(1000, 4), "head.bias": torch.zeros(1000)}
    if name != "swin_tiny":
        return state
    state |= {
        "norm.weight": torch.ones(768),
        "norm.bias": torch.ones(768),
        "layers.0.blocks.1.attn_mask": torch.zeros(64, 49, 49),
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49).long(),
    }
    return {"model": state}


@pytest.mark.parametrize("name", [name for name in ENCODERS if name not in SCALES])
def test_imagenet_encoder_loads(name: str, tmp_path: Path) -> None:
    content, path = imagenet_file(name), tmp_path / "imagenet.pth"
    torch.save(content, path)
    encoder = ENCODERS[name]()
    load_encoder(encoder, path)
    state = content.get("model", content)
    assert all(torch.equal(tensor, state[key]) for key, tensor in encoder.state_dict().items())


def test_shared_mobilenet_loads(shared: Path) -> None:
    path = shared / "weights" / "mobilenet_v2_imagenet.safetensors"
    encoder = ENCODERS["mobilenet_v2"]()
    load_encoder(encoder, path)
    state = encoder.state_dict()
    with safe_open(path, "pt") as file:
        names = {name for name in file.keys() if not name.startswith(("head.", "classifier."))}  # noqa: SIM118
        assert names == set(state)
        assert all(torch.equal(file.get_tensor(name).float(), state[name]) for name in names)


@pytest.mark.parametrize(("name", "other"), list(itertools.permutations(ENCODERS, 2)))
def test_another_encoders_file_is_refused_and_changes_nothing(name: str, other: str, tmp_path: Path) -> None:
    path = tmp_path / "imagenet.pth"
    torch.save(imagenet_file(other), path)
    encoder = ENCODERS[name]()
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    message = refusal(path, lambda file: load_encoder(encoder, file))
    assert re.search(r"tensor '\S+' (\(.*\) is missing|is \(.*\) where \(.*\) is expected)", message)
    assert type(encoder).__name__ in message
    assert all(torch.equal(tensor, before[key]) for key, tensor in encoder.state_dict().items())


def test_a_deeper_swin_is_refused(tmp_path: Path) -> None:
    content, path = imagenet_file("swin_tiny"), tmp_path / "swin_small.pth"
    content["model"]["layers.2.blocks.6.norm1.weight"] = torch.ones(384)
    torch.save(content, path)
    message = refusal(path, lambda file: load_encoder(ENCODERS["swin_tiny"](), file))
    assert "'layers.2.blocks.6.norm1.weight' belongs to another network" in message


def test_a_file_that_is_no_encoder_is_refused_with_what_to_give(tmp_path: Path) -> None:
    path = tmp_path / "mit_b0.pth"
    for content in (b"", b"text, not weights"):
        path.write_bytes(content)
        assert "MiTB0" in refusal(path, lambda file: load_encoder(ENCODERS["mit_b0"](), file))


def test_an_encoder_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "mit_b0.pth"
    torch.save(imagenet_file("mit_b0"), path)
    assert "not an Isomer checkpoint" in refusal(path)


# --- by name


@pytest.mark.parametrize("name", list_models())
@pytest.mark.parametrize("size", [(1, 1), (33, 70)])
@torch.no_grad()
def test_models_by_name_take_any_size_and_keep_samples_apart(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = create_model(name, pretrained=False)
    assert not model.training
    frame, flow = torch.rand(2, 3, 3, *size)
    logits = model(frame, flow)
    assert logits.shape == (3, 1, *size)
    torch.testing.assert_close(model(frame[1:2], flow[1:2]), logits[1:2], rtol=1e-4, atol=1e-4)


def test_names_match_the_published_layout(shared: Path) -> None:
    for encoder in ("mit_b0", "swin_tiny"):
        expected = json.loads((shared / "reference" / f"state_dict_{encoder}.json").read_text())
        state = create_model(f"isomer_{encoder}", pretrained=False).state_dict()
        assert {name: list(tensor.shape) for name, tensor in state.items()} == expected


def test_unknown_name_lists_the_names_and_the_nearest() -> None:
    message = refusal("isomer_mobilnet", create_model)
    assert "did you mean isomer_mobilenet_v2?" in message
    assert all(name in message for name in list_models())
    assert "did you mean" not in refusal("xyz", create_model)


def test_weights_in_the_package(model: Isomer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "EMBEDDED", tmp_path / "weights")
    assert "those with weights: none)" in refusal("isomer_mobilenet_v2", create_model)
    save_model(model, tmp_path / "weights" / "isomer_mobilenet_v2.safetensors")
    assert_same_weights(create_model("isomer_mobilenet_v2"), model)
    assert "weights: isomer_mobilenet_v2)" in refusal("isomer_swin_tiny", create_model)
    assert "fusion 'isomer', not 'vanilla'" in refusal(
        "isomer_mobilenet_v2", lambda name: create_model(name, fusion="vanilla")
    )


def test_create_model_reads_paths(model: Isomer, published: dict[str, Tensor], tmp_path: Path) -> None:
    own, pth = tmp_path / "own.safetensors", tmp_path / "published.pth"
    save_model(model, own)
    torch.save({"network": published}, pth)
    assert_same_weights(create_model(own), model)
    assert_same_weights(create_model(str(own), fusion="isomer"), model)
    assert create_model(str(pth)).config == MIT
    assert "'published', not 'isomer'" in refusal(pth, lambda path: create_model(path, fusion="isomer"))
    refusal(str(tmp_path / "none.safetensors"), create_model)


def test_random_weights_take_a_fusion() -> None:
    assert create_model("isomer_mit_b0", pretrained=False, fusion="cst").config.fusion == "cst"

"""Sharing networks: the Hugging Face Hub through a local folder, torch.hub from this checkout; offline."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

import isomer
from isomer.errors import InputError
from isomer.model.checkpoint import load_checkpoint, save_model
from isomer.model.config import IsomerConfig
from isomer.model.network import Isomer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("connects to somewhere")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="module")
def network() -> Isomer:
    torch.manual_seed(0)
    return Isomer(IsomerConfig("mit_b0", "vanilla", head_width=16)).eval()


def assert_equal(network: Isomer, expected: Isomer) -> None:
    assert network.config == expected.config
    assert not network.training
    inputs = torch.randn(2, 1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(*inputs), expected(*inputs), rtol=0, atol=0)


class TestHuggingFace:
    @pytest.fixture(autouse=True)
    def _needs_the_extra(self) -> None:
        pytest.importorskip("huggingface_hub", reason="needs the extra hub")

    def test_saved_and_loaded_is_the_same(self, network: Isomer, tmp_path: Path) -> None:
        from isomer.model.hub import HubIsomer

        HubIsomer.from_network(network).save_pretrained(tmp_path)

        assert_equal(HubIsomer.from_pretrained(tmp_path), network)
        assert_equal(load_checkpoint(tmp_path / "model.safetensors"), network)
        assert json.loads((tmp_path / "config.json").read_text())["encoder"] == "mit_b0"
        assert "library_name: isomer-vos" in (tmp_path / "README.md").read_text()

    def test_any_file_of_ours_can_be_shared(self, network: Isomer, tmp_path: Path) -> None:
        from isomer.model.hub import HubIsomer

        save_model(network, tmp_path / "model.safetensors")
        shared = HubIsomer.from_pretrained(str(tmp_path))
        assert_equal(shared, network)
        shared.save_pretrained(tmp_path / "again")
        assert (tmp_path / "again" / "model.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()

    def test_pushes_what_it_saves(self, network: Isomer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from huggingface_hub import HfApi

        from isomer.model.hub import HubIsomer

        pushed = {}

        def upload(self: HfApi, *, repo_id: str, folder_path: Path, **_: object) -> str:
            pushed[repo_id] = {file.name: file.read_bytes() for file in Path(folder_path).iterdir()}
            return "url"

        monkeypatch.setattr(HfApi, "create_repo", lambda self, repo_id, **_: type("Repo", (), {"repo_id": repo_id}))
        monkeypatch.setattr(HfApi, "upload_folder", upload)
        HubIsomer.from_network(network).push_to_hub("someone/isomer")

        save_model(network, tmp_path / "model.safetensors")
        assert pushed["someone/isomer"]["model.safetensors"] == (tmp_path / "model.safetensors").read_bytes()
        assert set(pushed["someone/isomer"]) == {"model.safetensors", "config.json", "README.md"}

    def test_another_file_is_refused(self, tmp_path: Path) -> None:
        from isomer.model.hub import HubIsomer

        with pytest.raises(InputError, match="cannot be read"):
            HubIsomer.from_pretrained(tmp_path)
        (tmp_path / "model.safetensors").write_text("no weights")
        with pytest.raises(InputError, match="not a file of weights"):
            HubIsomer.from_pretrained(tmp_path)


class TestTorchHub:
    @pytest.mark.parametrize("name", isomer.list_models())
    def test_loads_by_name(self, name: str) -> None:
        model = torch.hub.load(str(ROOT), name, source="local", pretrained=False)
        expected = isomer.create_model(name, pretrained=False)
        assert model.config == expected.config

    def test_segments(self, tmp_path: Path) -> None:
        save_model(Isomer().eval(), tmp_path / "random.safetensors")
        segmenter = torch.hub.load(
            str(ROOT),
            "segmenter",
            str(tmp_path / "random.safetensors"),
            source="local",
            size=64,
            backend="torch",
        )
        frames = np.random.default_rng(0).integers(0, 255, (3, 32, 48, 3), np.uint8)
        results = list(segmenter(frames))
        assert [result.index for result in results] == [0, 1, 2]
        assert {result.probability.shape for result in results} == {(32, 48)}

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from isomer.data.synthetic.drawn import draw_scene
from isomer.data.synthetic.scene import Scene

if TYPE_CHECKING:
    from isomer.model.network import Isomer


@pytest.fixture(scope="session")
def shared() -> Path:
    """The development data beside the checkout; tests that want it skip without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"no development data at {folder.name}/ beside the checkout")
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Converted networks go into one folder for the whole run, never into the user's own."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "isomer"


@pytest.fixture(scope="session")
def network() -> Isomer:
    """A random network that says something: its maps have both sides of one half."""
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    from isomer.model.network import Isomer

    torch.manual_seed(0)
    network = Isomer()
    for module in network.modules():  # as trained ones, its features neither vanish nor explode
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.inference_mode():
        network.train()(*torch.randn(2, 4, 3, 96, 96))
        network.eval()
        logits = network(*torch.randn(2, 4, 3, 96, 96))
        network.decode_head.linear_saliency_pred.weight *= 4 / logits.std()
        network.decode_head.linear_saliency_pred.bias -= 4 * logits.mean() / logits.std()
    return network


@pytest.fixture(scope="session")
def weights(network: Isomer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from isomer.model.checkpoint import save_model

    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_model(network, path)
    return path


@pytest.fixture(scope="session")
def scene() -> Scene:
    return draw_scene(np.random.default_rng(0), (256, 128))


@pytest.fixture(scope="session")
def images(scene: Scene) -> list[np.ndarray]:
    return [scene.render(index)[0] for index in range(12)]

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from isomer.model.checkpoint import save_model
from isomer.model.network import Isomer

WriteClip = Callable[[Path, Sequence[float]], Path]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random network whose maps have both sides of one half, so that masks are not empty."""
    torch.manual_seed(0)
    network = Isomer().eval()
    with torch.inference_mode():
        logits = network(*torch.randn(2, 4, 3, 64, 64))
        network.decode_head.linear_saliency_pred.weight *= 4 / logits.std()
        network.decode_head.linear_saliency_pred.bias -= 4 * logits.mean() / logits.std()
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_model(network, path)
    return path


@pytest.fixture(scope="session")
def write_clip() -> WriteClip:
    """Write a view that moves over a texture, by so many pixels from each frame to the next."""
    texture = np.random.default_rng(0).integers(0, 255, (24, 400, 3), np.uint8)
    texture = cv2.resize(texture, (4000, 64), interpolation=cv2.INTER_CUBIC)

    def write(path: Path, motion: Sequence[float]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=24)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for x in [0.0, *np.cumsum(motion)]:
                view = cv2.warpAffine(texture, np.float32([[1, 0, -x], [0, 1, 0]]), (96, 64))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(view, "rgb24")))
            container.mux(stream.encode())
        return path

    return write

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from isomer.data.synthetic.clip import SceneFrames, write_sequence
from isomer.data.synthetic.cutouts import SceneSampler
from isomer.media.image import write_image


def texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    coarse = rng.uniform(0, 255, (height // 6 + 2, width // 6 + 2, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def kept_memory(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Leave the allocator of the process that runs all tests alone; counts how often it would have been told."""
    told: list[None] = []
    monkeypatch.setattr("isomer.train.allocator.keep_freed_memory", lambda: told.append(None))
    return told


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn shapes as cut-outs in `stills`, textures in `backgrounds`, and rendered sequences in `videos`."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for i in range(12):
        image, mask = texture(rng, 120, 120) // 2, np.zeros((120, 120), np.uint8)
        if i % 2:
            cv2.ellipse(mask, (60, 60), (25 + 3 * i, 35), 15 * i, 0, 360, 255, -1)
        else:
            cv2.fillPoly(mask, [(60 + 50 * rng.normal(0, 0.5, (7, 2)).cumsum(0) / 2).astype(np.int32)], 255)
        image[mask > 0] = (image[mask > 0].astype(int) // 2 + np.array([150, 90, 20])).astype(np.uint8)
        write_image(root / "stills/images" / f"{i}.png", image)
        write_image(root / "stills/masks" / f"{i}.png", mask)
        write_image(root / "backgrounds" / f"{i}.png", texture(rng, 120, 120) // 2 + 30)
    sampler = SceneSampler.from_folders([root / "stills"], [root / "backgrounds"])
    found = 0
    for seed in range(100, 140):
        scene = sampler(np.random.default_rng(seed), (96, 96))
        if found < 6 and all(0.05 < (scene.render(t)[1] > 0).mean() < 0.6 for t in range(4)):
            write_sequence(SceneFrames(scene, 4), root / "videos" / f"{found}")
            found += 1
    return root


@pytest.fixture
def recipe(data: Path, tmp_path: Path) -> Path:
    """A configuration file of a run that takes a second or two."""
    content = {
        "output": str(tmp_path / "run"),
        "log_every": 1,
        "save_every": 1,
        "model": {"encoder": "mobilenet_v2", "head_width": 16},
        "data": {
            "root": str(data),
            "cutouts": [{"path": "stills"}],
            "backgrounds": ["backgrounds"],
            "videos": [{"path": "videos"}],
            "sizes": [64],
            "real": 0.3,
            "workers": 0,
        },
        "optimizer": {"steps": 4, "batch": 4, "warmup": 2},
        "hardware": {"accelerator": "cpu", "threads": 1},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path

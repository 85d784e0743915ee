from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.media.image import write_image


def texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    coarse = rng.uniform(0, 255, (height // 6 + 2, width // 6 + 2, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `images`, `masks` and `backgrounds`, drawn here."""
    root = tmp_path_factory.mktemp("stills")
    rng = np.random.default_rng(0)
    for i in range(6):
        image, mask = texture(rng, 120, 160), np.zeros((120, 160), np.uint8)
        cv2.ellipse(mask, (80, 60), (20 + 5 * i, 35), 20 * i, 0, 360, 255, -1)
        image[mask > 0] = image[mask > 0] // 2 + 90
        write_image(root / "images" / f"{i}.png", image)
        write_image(root / "masks" / f"{i}.png", mask)
        write_image(root / "backgrounds" / f"{i}.png", texture(rng, 150, 200))
    return root

"""The weights in the package: a broken or mistaken file must not ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isomer import Segmenter
from isomer.data.synthetic.clip import SceneFrames
from isomer.data.synthetic.drawn import draw_scene
from isomer.metrics import RegionSimilarity
from isomer.model.weights import EMBEDDED


def test_they_find_a_drawn_object_that_moves() -> None:
    frames = SceneFrames(draw_scene(np.random.default_rng(0), (428, 240)), 6)
    masks = [mask for _, mask in frames.with_masks()]
    similarity = RegionSimilarity()
    for result in Segmenter(backend="torch", device="cpu", size=320)(frames):
        similarity.step(np.rint(255 * result.probability).astype(np.uint8), masks[result.index])
    assert similarity.result().mean > 0.7


@pytest.mark.parametrize("weights", sorted(EMBEDDED.glob("*.safetensors")), ids=lambda path: path.stem)
def test_each_has_a_card_and_is_small(weights: Path) -> None:
    assert weights.with_suffix(".md").read_text().startswith(f"# {weights.stem}\n")
    assert weights.stat().st_size <= 24e6

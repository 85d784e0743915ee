"""Hold a folder of masks of examples/clip.mp4 against the scene that the clip was rendered from.

Usage: python .ci/check_masks.py MASKS [SAME_MASKS_BY_ANOTHER_BACK_END]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from isomer.data.synthetic.clip import SceneFrames
from isomer.data.synthetic.drawn import draw_scene
from isomer.media.image import read_gray
from isomer.metrics import RegionSimilarity

FRAMES, SIZE, SEED = 72, (854, 480), (0, 0)


def main(masks: Path, others: Path | None) -> None:
    """Print what was found; a failed check ends with a message and a code of 1."""
    files = sorted(masks.iterdir())
    if len(files) != FRAMES:
        sys.exit(f"{masks}: {len(files)} masks of {FRAMES} frames")
    empty = [file.name for file in files if not read_gray(file).any()]
    if empty:
        sys.exit(f"{masks}: {len(empty)} masks are empty, the first is {empty[0]}")
    similarity = RegionSimilarity()
    truth = SceneFrames(draw_scene(np.random.default_rng(SEED), SIZE), FRAMES).with_masks()
    for file, (_, mask) in zip(files, truth, strict=True):
        similarity.step(read_gray(file), mask)
    mean = similarity.result().mean
    if mean < 0.8:
        sys.exit(f"{masks}: J is {mean:.3f} where the clip's true masks ask for 0.8")
    print(f"{masks}: {len(files)} masks, none empty, J {mean:.3f}")
    if others is not None:
        agreement = RegionSimilarity()
        for file in files:
            agreement.step(read_gray(file), read_gray(others / file.name))
        if agreement.result().mean < 0.97:  # one may compute in 8-bit integers
            sys.exit(f"{masks} and {others} differ: J {agreement.result().mean:.4f}")
        print(f"{masks} and {others} agree: J {agreement.result().mean:.5f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)

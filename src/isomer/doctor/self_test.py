"""Three drawn frames through the whole path, their maps held against stored ones.

`python -m isomer.doctor.self_test` makes both anew, for new default weights or defaults of the path. The frames are
stored because another OpenCV draws others. The middle one lies between two key frames, so that its map tells whether
what is looked up along the flow is right.
"""

from __future__ import annotations

import tempfile
import time
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from isomer.doctor.finding import Finding, State
from isomer.errors import MissingPackageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HOME = Path(str(resources.files("isomer"))) / "doctor"
_CLIP = _HOME / "clip.mp4"
_MAPS = _HOME / "maps.png"  # of all frames, one above the other

# OpenCV 4 and 5 are 0.04 levels and J 0.997 apart, float32 and bfloat16 0.19 and 0.992; wrong look-ups give J 0.
_DIFFERENCE = 1.0  # levels of 255 from the stored maps, in the mean, at most
_SIMILARITY = 0.98  # J with the stored masks, in every frame, at least


def back_end(name: str) -> Finding:
    """Run the self-test.

    Args:
        name: one of `isomer.options.BACKENDS`, on the device that it takes by itself.
    """
    import numpy as np

    from isomer.media.image import read_gray
    from isomer.metrics import RegionSimilarity

    start = time.perf_counter()
    try:
        found = _maps(name)
    except MissingPackageError as error:
        return Finding(name, State.absent, str(error).partition(": ")[2])
    seconds = time.perf_counter() - start
    stored = read_gray(_MAPS).reshape(found.shape)
    difference = float(np.abs(np.subtract(found, stored, dtype=np.float32)).mean())
    region = RegionSimilarity()
    for maps in zip(found, stored > 128, strict=True):
        region.step(*maps)
    similarity = min(region.values)
    right = difference <= _DIFFERENCE and similarity >= _SIMILARITY
    device = _device(name)
    return Finding(
        name,
        State.ok if right else State.wrong,
        f"{device}, {seconds:.1f} s for the self-test, whose masks are {'right' if right else 'wrong'} "
        f"(J {similarity:.3f} with the stored ones, maps {difference / 255:.4f} apart)",
        {"device": device, "seconds": seconds, "similarity": similarity, "difference": difference / 255},
    )


def _maps(name: str, device: str = "auto") -> NDArray[np.uint8]:
    """Segment the stored frames as a user would; return their maps, uint8 [N, H, W]."""
    import numpy as np

    from isomer.media.image import read_gray
    from isomer.segment import segment_video

    with tempfile.TemporaryDirectory() as folder:
        done = segment_video(_CLIP, folder, outputs=["overlay", "probabilities"], backend=name, device=device)
        return np.stack([read_gray(file) for file in sorted(done.outputs[1].iterdir())])


def _device(name: str) -> str:
    if name != "torch":
        return "cpu"
    from isomer.runtime.pytorch import best_device

    return best_device()


def _store() -> None:
    """Draw the frames, and store them with the maps that PyTorch finds."""
    import numpy as np

    from isomer.data.synthetic.clip import SceneFrames, write_clip
    from isomer.data.synthetic.drawn import draw_scene
    from isomer.media.image import write_image

    write_clip(SceneFrames(draw_scene(np.random.default_rng(0), (256, 144)), 3), _CLIP)
    write_image(_MAPS, np.concatenate(_maps("torch", "cpu")))


if __name__ == "__main__":
    _store()

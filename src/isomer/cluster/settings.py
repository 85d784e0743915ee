"""What a batch makes of each video."""

from __future__ import annotations

from dataclasses import dataclass

from isomer.cluster.shards import WARM_UP
from isomer.errors import InputError
from isomer.media import OUTPUTS, pictures
from isomer.media.pictures import Picture
from isomer.segment.segmenter import check_options

_KEPT: dict[Picture, str] = {pictures.probabilities: "probabilities", pictures.cutout: "cutouts"}


def kept(kind: str) -> str:
    """Return the kind of output that keeps the maps for another one until the parts of a video are joined.

    It has eight bits a pixel that tell all the other needs: levels, opacity, or else only the mask.
    """
    return _KEPT.get(OUTPUTS[kind].picture, "masks")


@dataclass(frozen=True)
class Settings:
    """What to make of each video; see `isomer.segment.segment_video`.

    Attributes:
        shard: a video of more frames is split into parts of at most as many; 0 splits none.

    Raises:
        InputError: a value is out of its range.
    """

    outputs: tuple[str, ...] = ("overlay",)
    model: str = "isomer_mobilenet_v2"
    size: int = 384
    backend: str = "auto"
    device: str = "auto"
    threshold: float = 0.5
    stride: int = 1
    views: int = 1
    smoothing: float = 1.0
    shard: int = 0

    def __post_init__(self) -> None:
        for kind in self.outputs:
            if kind not in OUTPUTS:
                raise InputError(f"--output {kind}: no such output; choose from {', '.join(OUTPUTS)}")
        if not self.outputs:
            raise InputError("no output asked for; name at least one, such as overlay")
        if not 0 < self.threshold < 1:
            raise InputError(f"--threshold {self.threshold}: not between 0 and 1; 0.5 is the default")
        if self.stride < 1:
            raise InputError(f"--stride {self.stride}: not positive; 1 takes every frame")
        # Before the output folder is bound to them.
        check_options(size=self.size, views=self.views, smoothing=self.smoothing)
        if self.shard and self.shard < WARM_UP:
            raise InputError(f"--shard {self.shard}: fewer than {WARM_UP} frames; 0 splits no video")

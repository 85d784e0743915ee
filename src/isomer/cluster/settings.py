"""What a batch makes of each video."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from isomer.cluster.inputs import Video
from isomer.cluster.shards import WARM_UP
from isomer.errors import ArgumentError, suggestion
from isomer.flow import ANCHOR
from isomer.media import OUTPUTS, pictures
from isomer.media.background import open_background
from isomer.media.outputs import check_background
from isomer.media.pictures import Picture
from isomer.options import VideoOptions, option

_KEPT: dict[Picture, tuple[str, ...]] = {
    pictures.probabilities: ("probabilities",),
    pictures.numbers_and_probabilities: ("masks", "probabilities"),
    pictures.cutout: ("cutouts",),
    pictures.deep_cutout: ("cutouts",),
    pictures.composite: ("cutouts",),
    pictures.deep_composite: ("cutouts",),
}
# What the others say already, which machine does the work, in what portions, and what it refuses.
_NOT_IN_OUTPUTS = ("quality", "backend", "device", "batch", "ahead", "max_pixels", "shard")


def kept(kind: str) -> tuple[str, ...]:
    """Return the kinds of output that keep the maps for another one until the parts of a video are joined.

    They have eight bits a pixel that tell all the other needs: levels, opacity, or else only the mask.
    """
    return _KEPT.get(OUTPUTS[kind].picture, ("masks",))


@dataclass(frozen=True)
class Settings(VideoOptions):
    """What to make of each video: the options of `isomer.segment_video`, and how videos are split.

    Raises:
        ArgumentError: a value is out of its range, or is an object where a batch, which a later run may continue,
            wants its name.
    """

    shard: int = option(
        0,
        "split videos of more than N frames between workers; the result is the same",
        "0 splits none",
        low=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("model", "flow"):
            if not isinstance(value := getattr(self.settled, name), (str, Path)):
                raise ArgumentError(name, type(value).__name__, "a batch takes it by its name")
        for kind in self.outputs:
            if kind not in OUTPUTS:
                meant = suggestion(kind, OUTPUTS)
                raise ArgumentError("outputs", kind, f"no such output{meant}; choose from {', '.join(OUTPUTS)}")
        background = open_background(self.background, self.fit, max_pixels=self.max_pixels)
        check_background(background, [OUTPUTS[kind] for kind in self.outputs])
        if self.shard:
            self._check_shard()

    def _check_shard(self) -> None:
        if self.shard < WARM_UP:
            raise ArgumentError("shard", self.shard, f"less than {WARM_UP} frames; 0 splits no video")
        doublings = math.ceil(math.log2(self.max_step))
        key_interval = self.settled.key_interval
        if max(self.max_step, doublings * key_interval) > ANCHOR:
            raise ArgumentError(
                "shard",
                self.shard,
                f"with a key interval of {key_interval} and steps of up to {self.max_step}, parts would not give "
                "what the whole gives; make one of them smaller, or split no video",
            )

    @property
    def kept(self) -> tuple[str, ...]:
        """The kinds of output that keep the maps of a part."""
        if self.follows_objects:
            return ("probabilities",)  # of the network's size
        return tuple(dict.fromkeys(chain.from_iterable(map(kept, self.outputs))))

    def places(self, video: Video) -> dict[str, Path]:
        """Return where the outputs of a video go, by their kinds."""
        names = {kind: video.target.name + OUTPUTS[kind].suffix for kind in self.outputs}
        return {kind: video.target.with_name(name) for kind, name in names.items()}

    def made_with(self) -> dict[str, object]:
        """Return what the outputs depend on, as JSON has it."""
        texts = {"model": str(self.settled.model), "background": str(self.background)}
        lists = {"outputs": list(dict.fromkeys(self.outputs)), "keep": list(self.keep), "drop": list(self.drop)}
        values = self.of(Settings) | texts | lists
        return {name: value for name, value in values.items() if name not in _NOT_IN_OUTPUTS}

"""A frame, and what a source of frames promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isomer.media.colour import Deep, Tags
from isomer.media.sound import Sound

Pixels = NDArray[np.unsignedinteger[Any]]
"""Of an image, with or without colours and alpha: uint8 or, at the depth of its source, uint16."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        index: position in the source, from 0.
        image: contiguous uint8 RGB [H, W, 3], upright.
        time: seconds since the first frame; strictly increasing over a source.
        name: stem for the frame's own files: the image's stem in a folder, the five-digit index in a video.
        duration: seconds until the next frame, and of the last frame those for which it stays; 0 where nobody knows.
        deep: gives it at the depth of its source; None where `image` holds all of it, or nobody asked for more.
    """

    index: int
    image: NDArray[np.uint8]
    time: float
    name: str
    duration: float = 0.0
    deep: Callable[[], Deep] | None = field(default=None, repr=False)


class Source(Protocol):
    """What is known of frames before any is read.

    One whose pixels are not square also has `pixel_aspect`, their width over their height, a Fraction; one with sound
    that outputs are to have, `sound`, a `Sound`; one whose frames are `deep`, `tags`, what the codes of those mean.

    Attributes:
        path: the file or the folder.
        size: (width, height) of every frame, after rotation.
        fps: average frames per second.
        count: number of frames as the container states or implies it, None when it does not.
    """

    path: Path
    size: tuple[int, int]
    fps: Fraction
    count: int | None


class FrameSource(Source, Protocol):
    """A video or a folder of images; each iteration streams its frames anew, one in memory at a time."""

    def __iter__(self) -> Iterator[Frame]: ...


def pixel_aspect(source: object) -> Fraction:
    """Return the width of a source's pixels over their height; see `Source`."""
    aspect: Fraction = getattr(source, "pixel_aspect", Fraction(1))
    return aspect


def sound_of(source: object) -> Sound | None:
    """Return the sound of a source; see `Source`."""
    sound: Sound | None = getattr(source, "sound", None)
    return sound


def tags_of_source(source: object) -> Tags:
    """Return what the codes of a source's frames mean at its depth; see `Source`."""
    tags: Tags = getattr(source, "tags", Tags())
    return tags


def display_size(source: Source) -> tuple[int, int]:
    """Return the (width, height) at which square pixels show a source in its true shape; neither is smaller."""
    aspect = pixel_aspect(source)
    width, height = source.size
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))

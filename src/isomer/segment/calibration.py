"""What the network sees of some videos: by it the ranges of a quantised network are found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from isomer.media import open_frames
from isomer.options import VideoOptions
from isomer.segment.segmenter import Segmenter, Views

if TYPE_CHECKING:
    from isomer.model.network import Isomer

_SAMPLES = 100  # of all videos together
_FEWEST = 4  # of each

_T = TypeVar("_T")


def calibration_samples(
    network: Isomer, videos: Sequence[str | Path], max_pixels: int = VideoOptions.max_pixels
) -> Iterator[Views]:
    """Yield frames evenly spaced over the videos with their flow images, [1, H, W, 3] each, about a hundred in all.

    Args:
        network: is to see them; its stride decides on their size.
        videos: files or folders of images, at least one.
        max_pixels: the most that a frame may have.

    Raises:
        InputError: a video is no good; all are opened before the first sample.
    """
    sources = [open_frames(video, max_pixels) for video in videos]
    segmenter = Segmenter(network, backend="torch", device="cpu", key_interval=1)
    for source in sources:
        yield from _evenly(segmenter.inputs(source), max(_SAMPLES // len(sources), _FEWEST))


def _evenly(items: Iterable[_T], most: int) -> list[_T]:
    """Choose up to `most` items of a stream, evenly spaced; never hold more."""
    chosen: list[_T] = []
    step = 1
    for index, item in enumerate(items):
        if len(chosen) == most and index % step == 0:
            del chosen[1::2]
            step *= 2
        if index % step == 0:
            chosen.append(item)
    return chosen

"""The video behind the page: each frame above its probability map, so that the two are always in step.

It is H.264 without B-frames: a run of frames from one key frame to another can be taken out and put back, so that a
preview of which a few maps have changed takes as long as these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from isomer.files import Stage
from isomer.media import Frame, Look, Output, Segmented, open_output
from isomer.media.containers import Container, h264
from isomer.media.frame import Source, display_size
from isomer.segment.edges.border import Border
from isomer.segment.spool import from_levels
from isomer.segment.warp import resize_map

_Number = TypeVar("_Number", np.uint8, np.float32)

_PIXELS = 960 * 540
"""Of one half at most."""
_KEY_FRAMES = 12
"""One in so many frames at least, for quick seeking."""


@dataclass
class _Stacked:
    """What is known of frames above their maps; see `Source`."""

    path: Path
    size: tuple[int, int]
    fps: Fraction
    count: int | None


def preview_output(source: Source) -> Output:
    """Return the output of frame and map, stacked: H.264.

    The page blends the two. Halves larger than 960 x 540 in area are made smaller; both sides are even, and pixels
    square.
    """
    width, height = preview_size(*display_size(source))

    def stack(result: Segmented, look: Look) -> NDArray[np.uint8]:
        levels = np.rint(_resized(result.probability, (width, height)) * 255).astype(np.uint8)
        return np.vstack((_resized(result.image, (width, height)), cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB)))

    def contain(path: Path, source: Source, stage: Stage) -> Container:
        stacked = _Stacked(source.path, (width, 2 * height), source.fps, source.count)
        return h264(path, stacked, stage, crf="22", g=str(_KEY_FRAMES), bf="0")

    return Output(stack, contain, "_preview.mp4", "H.264 video, each frame above its map", shows_video=True)


def preview_size(width: int, height: int) -> tuple[int, int]:
    """Return the (width, height) of one half of the preview."""
    scale = min(1.0, math.sqrt(_PIXELS / (width * height)))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def at_preview_size(frame: Frame, source: Source, levels: NDArray[np.uint8], edges: str) -> Segmented:
    """Return what a preview shows of a frame.

    Args:
        frame: of the source.
        source: of the frames.
        levels: 255 times the probability, uint8 [h, w] of any size.
        edges: map or refined; a matte, which takes long, shows as refined.
    """
    image = _resized(frame.image, preview_size(*display_size(source)))
    probability = resize_map(from_levels(levels), *image.shape[:2])
    if edges != "map":
        probability = Border(image, probability).refined()
    return Segmented.of(replace(frame, image=image, deep=None), probability)


class Preview:
    """A preview that is written.

    Args:
        path: of the video.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with av.open(str(path)) as container:
            packets = list(_packets(container))
        self._stamps = [packet.pts or 0 for packet in packets]
        self._keys = [position for position, packet in enumerate(packets) if packet.is_keyframe]

    def frames(self, positions: Collection[int]) -> Iterator[Frame]:
        """Yield the frames of some positions, in order, as they are in the preview."""
        for position, picture, time in self._pictures(positions):
            yield Frame(position, np.ascontiguousarray(picture[: len(picture) // 2]), time, f"{position:05d}")

    def write_changed(
        self,
        path: Path,
        source: Source,
        changed: Collection[int],
        level: Callable[[int], NDArray[np.uint8]],
        edges: str,
    ) -> None:
        """Write the same preview with other maps in some frames.

        Args:
            path: of the video to write.
            source: of the frames of both.
            changed: positions of the frames whose maps are others.
            level: returns these: 255 times the probability, uint8 [h, w] of any size.
            edges: see `at_preview_size`.
        """
        output = preview_output(source)
        parts: dict[int, Packet[VideoStream]] = {}
        for number, run in enumerate(self._runs(changed)):
            part = path.with_name(f"{path.stem}-{number}{path.suffix}")
            try:
                with open_output(output, part, source) as writer:
                    for position, picture, time in self._pictures(run):
                        image, below = np.split(picture, 2)
                        frame = Frame(position, np.ascontiguousarray(image), time, f"{position:05d}")
                        if position in changed:
                            writer.write(at_preview_size(frame, source, level(position), edges))
                        else:
                            writer.write(Segmented.of(frame, from_levels(np.ascontiguousarray(below[..., 0]))))
                with av.open(str(part)) as container:
                    parts |= zip(run, _packets(container), strict=True)
            finally:
                with suppress(FileNotFoundError):
                    part.unlink()
        with av.open(str(self._path)) as base, av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream_from_template(base.streams.video[0])
            for position, packet in enumerate(_packets(base)):
                put = parts.get(position, packet)
                put.pts = put.dts = self._stamps[position]
                put.stream = stream
                container.mux(put)

    def _runs(self, positions: Collection[int]) -> Iterator[Sequence[int]]:
        """Yield the frames that depend on each other, or follow on these, where some of them are asked for."""
        ends = [*self._keys[1:], len(self._stamps)]
        groups = [range(*bounds) for bounds in zip(self._keys, ends, strict=True)]
        for is_asked, run in groupby(groups, lambda group: not set(group).isdisjoint(positions)):
            if is_asked:
                yield [position for group in run for position in group]

    def _pictures(self, positions: Collection[int]) -> Iterator[tuple[int, NDArray[np.uint8], float]]:
        """Yield position, RGB picture and time in seconds of some frames, in order."""
        wanted = set(positions)
        places = {stamp: position for position, stamp in enumerate(self._stamps)}
        with av.open(str(self._path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for run in self._runs(wanted):
                container.seek(self._stamps[run[0]], stream=stream)
                last = max(wanted.intersection(run))
                for picture in container.decode(stream):
                    position = places[picture.pts or 0]
                    if position in wanted:
                        yield position, picture.to_ndarray(format="rgb24"), float(picture.time or 0)
                    if position >= last:
                        break


def _packets(container: InputContainer) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of a preview, one a frame."""
    return (packet for packet in container.demux(container.streams.video[0]) if packet.size)


def _resized(image: NDArray[_Number], size: tuple[int, int]) -> NDArray[_Number]:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(image.dtype, copy=False)

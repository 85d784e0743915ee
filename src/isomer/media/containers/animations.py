"""Small animated images to show around: GIF and WebP."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from isomer.files import Stage
from isomer.media.containers.video import Encoding, VideoFile
from isomer.media.frame import Frame, Pixels, Source

_LONGER_SIDE = 480  # pixels
_INTERVAL = 0.1  # seconds
_WEBP = Encoding(
    "libwebp",  # a picture at a time; libwebp_anim would hold the whole animation in memory
    "bgra",
    {"quality": "60", "compression_level": "2"},
    (".webp",),
    time_base=Fraction(1, 1000),
    tells_pixel_aspect=False,
    muxer_options={"loop": "0"},
)
_GIF = Encoding("gif", "rgb24", {}, (".gif",), time_base=Fraction(1, 100), tells_pixel_aspect=False)


class _Animation(VideoFile):
    """An animated image that loops, at most 480 pixels on the longer side and ten frames a second."""

    _due = 0.0  # when the next picture is wanted, in seconds

    def write(self, frame: Frame, draw: Callable[[], Pixels]) -> None:
        """Add a frame, unless it follows the last one too soon; see `Container.write`."""
        if frame.time >= self._due - 1e-6:
            self._due = max(self._due + _INTERVAL, frame.time)
            super().write(frame, draw)
        else:
            self._extend(frame)

    def _picture_size(self, source: Source) -> tuple[int, int]:
        shown = super()._picture_size(source)
        scale = min(1.0, _LONGER_SIDE / max(shown))
        width, height = (max(2, round(side * scale / 2) * 2) for side in shown)
        return width, height


class WebP(_Animation):
    """An animated WebP."""

    def __init__(self, path: Path, source: Source, stage: Stage) -> None:
        super().__init__(path, source, stage, _WEBP)


class GIF(_Animation):
    """An animated GIF, each picture with the 256 colours that suit it."""

    def __init__(self, path: Path, source: Source, stage: Stage) -> None:
        super().__init__(path, source, stage, _GIF)

    def _add_stream(self, source: Source) -> VideoStream:
        stream = super()._add_stream(source)
        stream.pix_fmt = "pal8"
        self._graph = Graph()
        entry = self._graph.add_buffer(
            width=self._size[0],
            height=self._size[1],
            format=VideoFormat(self._encoding.pixel_format),
            time_base=self._encoding.time_base,
        )
        split, palette = self._graph.add("split"), self._graph.add("palettegen", "stats_mode=single")
        use, end = self._graph.add("paletteuse", "new=1:dither=bayer"), self._graph.add("buffersink")
        entry.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(palette, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(end)
        self._graph.configure()
        return stream

    def _encode(self, video_frame: VideoFrame) -> None:
        self._graph.push(video_frame)
        self._drain()

    def _flush(self) -> None:
        self._graph.push(None)
        self._drain()
        super()._flush()

    def _drain(self) -> None:
        with suppress(av.error.BlockingIOError, av.error.EOFError):
            while True:
                super()._encode(self._graph.vpull())

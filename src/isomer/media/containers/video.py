"""Videos, through FFmpeg (PyAV)."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.context import Flags
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream

from isomer.errors import InputError
from isomer.files import Stage
from isomer.media.colour import Tags
from isomer.media.containers.container import Container
from isomer.media.containers.sound import SoundFormat, SoundTrack
from isomer.media.frame import Frame, Pixels, Source, display_size, pixel_aspect, sound_of, tags_of_source

# The index first, so that browsers play before all is loaded; no random identifiers, no version of FFmpeg.
_MUXER_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}
# Of an encoder: the number changes its bytes, so it must not be that of the machine's cores.
_THREADS = 4
_LARGE = 2**22  # pixels
_LIMITED = np.linspace(16, 235, 256).round().astype(np.uint8)  # luma of limited range, from black to white

_FORMATS = {(): "gray", (3,): "rgb24", (4,): "rgba"}
_DEEP_FORMATS = {(3,): "rgb48le", (4,): "rgba64le"}
"""FFmpeg's names of pictures' formats, by the axes after height and width."""

_PCM = frozenset({"pcm_f32le", "pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le", "pcm_s32le"})
_IN_MP4 = frozenset({"aac", "alac", "flac", "mp3", "opus"})
_AAC, _OPUS = ("aac", "fltp"), ("libopus", "flt")
_SOUND = {
    ".mp4": SoundFormat(_IN_MP4, *_AAC, may_precede=True),
    ".mov": SoundFormat(frozenset({"aac", "alac", "mp3"}), *_AAC, filled=_PCM, may_precede=True),
    ".mkv": SoundFormat(_IN_MP4 | _PCM | {"ac3", "dts", "eac3", "mp2", "vorbis"}, *_AAC),
    ".webm": SoundFormat(frozenset({"opus", "vorbis"}), *_OPUS),
}
"""By the suffix of the file; others have none."""


@dataclass(frozen=True)
class Encoding:
    """How FFmpeg makes a video.

    Attributes:
        codec: FFmpeg's name of the encoder.
        pixel_format: what it takes.
        options: of the encoder.
        suffixes: of the files it may go into.
        time_base: unit of time, in seconds.
        tells_pixel_aspect: whether FFmpeg can write down in these files that pixels are not square.
        keeps_colours: whether pictures are in the source's colours, which the file then tells, not in those of BT.709.
        tag: that names the codec in the file, where FFmpeg's own choice will not do.
        options_of_large: besides, or instead, of large pictures.
        muxer_options: besides those of all videos.
    """

    codec: str
    pixel_format: str
    options: dict[str, str]
    suffixes: tuple[str, ...]
    time_base: Fraction = Fraction(1, 90_000)
    tells_pixel_aspect: bool = True
    keeps_colours: bool = False
    tag: str = ""
    options_of_large: dict[str, str] = field(default_factory=dict)
    muxer_options: dict[str, str] = field(default_factory=dict)


_H264 = Encoding(
    "libx264",
    "yuv420p",
    # x264's macroblock tree was seen to give other bytes from run to run on a busy machine with AVX-512.
    {"preset": "superfast", "crf": "21", "x264-params": "mbtree=0"},
    (".mp4", ".mov", ".mkv"),
    options_of_large={"bf": "0"},  # pictures that wait for later ones take 220 MB at 4K
)
_VP9 = Encoding(
    "libvpx-vp9",
    "yuva420p",
    # libvpx cannot encode alpha together with alternate reference frames.
    {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "crf": "24", "b": "0", "auto-alt-ref": "0"},
    (".webm",),
    time_base=Fraction(1, 1000),
    tells_pixel_aspect=False,
    options_of_large={"lag-in-frames": "0"},
)
_PRORES = Encoding(
    "prores_ks",
    "yuva444p10le",
    {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"},
    (".mov",),
    keeps_colours=True,
)
_HEVC = Encoding(
    "libx265",
    "yuv420p10le",
    # The numbers of threads change x265's bytes; with B-frames it gives one or two pictures no time stamps.
    {"preset": "superfast", "crf": "20", "x265-params": "log-level=error:frame-threads=2:pools=4:bframes=0"},
    (".mp4", ".mov", ".mkv"),
    keeps_colours=True,
    tag="hvc1",  # without, Apple's players do not know it
)


def h264(path: Path, source: Source, stage: Stage, **options: str) -> VideoFile:
    """H.264 in MP4, QuickTime or Matroska, which browsers play; `options` of libx264 go before ours."""
    return VideoFile(path, source, stage, replace(_H264, options=_H264.options | options))


def vp9(path: Path, source: Source, stage: Stage) -> VideoFile:
    """VP9 with alpha in WebM, which browsers play."""
    return VideoFile(path, source, stage, _VP9)


def hevc(path: Path, source: Source, stage: Stage) -> VideoFile:
    """HEVC of 10 bits in MP4, QuickTime or Matroska, in the colours of the source."""
    return VideoFile(path, source, stage, _HEVC)


def prores(path: Path, source: Source, stage: Stage) -> VideoFile:
    """ProRes 4444 with straight alpha in QuickTime, for editing, in the colours of the source."""
    return VideoFile(path, source, stage, _PRORES)


class VideoFile(Container):
    """A video with the time stamps of the source, whose last picture stays as long as there.

    Where the codec stores colour at half the resolution, an odd width or height is made even by repeating the
    last column or row. Colours are of limited range, those of BT.709 or of the source, and tagged so. Pixels that are
    not square are tagged so too or, where FFmpeg cannot, made square by stretching the picture. Sound is copied where
    players of the format know its codec, else encoded.
    """

    def __init__(self, path: Path, source: Source, stage: Stage, encoding: Encoding) -> None:
        self._encoding = encoding
        self.suffixes = encoding.suffixes
        super().__init__(path, source, stage)

    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        options = _MUXER_OPTIONS | self._encoding.muxer_options
        form, sound = _SOUND.get(self.path.suffix.lower()), sound_of(source)
        opened = resources.enter_context(sound.opened()) if form and sound else None
        self._container = av.open(str(stage.file(self.path)), "w", container_options=options)
        resources.push(self._finish)
        self._size = self._picture_size(source)
        self._tags = tags_of_source(source) if self._encoding.keeps_colours else Tags()
        self._stream = self._add_stream(source)
        self._sound = SoundTrack(self._container, form, opened) if form and opened else None
        try:
            self._container.start_encoding()
        except (av.error.ExternalError, av.error.ArgumentError) as error:
            pictures = f"{self._stream.width}x{self._stream.height}"
            raise InputError(
                f"{self.path}: {self._encoding.codec} takes no pictures of {pictures}; choose another output"
            ) from error
        self._reformatter = VideoReformatter()
        self._interval = float(1 / source.fps)
        self._waiting: VideoFrame | None = None  # until it is known when it ends
        self._next = 0  # the earliest time stamp that the next picture may have
        self._end = 0.0  # of the frames so far, in seconds

    def write(self, frame: Frame, draw: Callable[[], Pixels]) -> None:
        """Add a frame; see `Container.write`."""
        super().write(frame, draw)
        self._extend(frame)

    def _extend(self, frame: Frame) -> None:
        """Have the video last until the end of a frame."""
        self._end = frame.time + (frame.duration or self._interval)
        if self._sound:
            self._sound.write(self._end)

    def _put(self, frame: Frame, picture: Pixels) -> None:
        picture = _resized(picture, self._size)
        bottom, right = self._stream.height - picture.shape[0], self._stream.width - picture.shape[1]
        if bottom or right:
            border = ((0, bottom), (0, right), (0, 0))[: picture.ndim]
            picture = np.pad(picture, border, mode="edge")
        video_frame = self._video_frame(picture)
        video_frame.time_base = self._encoding.time_base
        video_frame.pts = max(self._next, self._ticks(frame.time))
        self._encode_waiting(video_frame.pts)
        self._waiting, self._next = video_frame, video_frame.pts + 1

    def _ticks(self, seconds: float) -> int:
        return round(seconds / self._encoding.time_base)

    def _encode_waiting(self, end: int) -> None:
        """Encode the last picture, which ends at this time stamp."""
        if self._waiting is not None:
            self._waiting.duration = max(1, end - (self._waiting.pts or 0))
            self._encode(self._waiting)

    def _video_frame(self, picture: Pixels) -> VideoFrame:
        """Convert a picture, gray [H, W], RGB [H, W, 3] or RGBA [H, W, 4], to what is encoded."""
        if picture.ndim == 2 and self._encoding.pixel_format == "yuv420p":
            height, width = picture.shape
            planes = np.full((height * 3 // 2, width), 128, np.uint8)  # luma, then both chromas without colour
            cv2.LUT(picture, _LIMITED, planes[:height])
            return VideoFrame.from_ndarray(planes, "yuv420p")
        formats = _DEEP_FORMATS if picture.dtype == np.uint16 else _FORMATS
        rgb = VideoFrame.from_ndarray(picture, formats[picture.shape[2:]])
        rgb.colorspace = self._tags.matrix  # which that of the result follows; PyAV 17 takes no other word for BT.2020
        video_frame = self._reformatter.reformat(
            rgb,
            format=self._encoding.pixel_format,
            dst_color_range=ColorRange.MPEG,
            threads=1,  # the result of swscale's own threads is not the same every time
        )
        # ProRes tells them in every picture.
        video_frame.color_primaries, video_frame.color_trc, video_frame.colorspace = self._tags
        return video_frame

    def _encode(self, video_frame: VideoFrame) -> None:
        self._container.mux(self._stream.encode(video_frame))

    def _picture_size(self, source: Source) -> tuple[int, int]:
        """Return the (width, height) of what is shown."""
        return source.size if self._encoding.tells_pixel_aspect else display_size(source)

    def _add_stream(self, source: Source) -> VideoStream:
        encoding = self._encoding
        width, height = (side + side % 2 for side in self._size)
        is_large = width * height > _LARGE
        options = encoding.options | (encoding.options_of_large if is_large else {})
        try:
            stream = self._container.add_stream(encoding.codec, rate=source.fps, options=options)
        except av.codec.codec.UnknownCodecError as error:
            raise InputError(
                f"{self.path}: PyAV's FFmpeg has no encoder {encoding.codec} here; install PyAV's own wheel, or choose "
                "another output"
            ) from error
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = width, height
        stream.pix_fmt = encoding.pixel_format
        context = stream.codec_context
        context.time_base = encoding.time_base
        context.sample_aspect_ratio = pixel_aspect(source) if encoding.tells_pixel_aspect else Fraction(1)
        # Of large pictures several threads encode one, not one each: every picture under way takes 50 MB at 4K.
        context.thread_type = "SLICE" if is_large else "AUTO"
        context.thread_count = _THREADS
        context.color_primaries, context.color_trc, context.colorspace = self._tags
        if encoding.tag and self.path.suffix.lower() != ".mkv":
            context.codec_tag = encoding.tag
        context.color_range = ColorRange.MPEG
        context.flags |= Flags.frame_duration
        return stream

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with suppress(OSError, av.error.FFmpegError):
                self._container.close()
            return
        try:
            self._encode_waiting(self._ticks(self._end))
            self._flush()
            if self._sound:
                self._sound.write(math.inf)
        finally:
            self._container.close()

    def _flush(self) -> None:
        self._container.mux(self._stream.encode(None))


def _resized(picture: Pixels, size: tuple[int, int]) -> Pixels:
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    enlarged = size[0] >= width and size[1] >= height
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR if enlarged else cv2.INTER_AREA)
    return np.asarray(resized, picture.dtype)

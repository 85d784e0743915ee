"""Videos as people have them, made here: streams in any order, clocks that jump, rates that lie, side data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av import AudioFrame, VideoFrame
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.codec.context import Flags
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

BITS = 8
WIDTH, HEIGHT = 12 * BITS, 64
BLANK = 2**BITS - 1
"""Number on the pictures of a stream that is not to be shown."""


@dataclass(frozen=True)
class Format:
    """How a video is stored.

    Attributes:
        tick: seconds to which stamps are kept.
        rate: pictures a second, in a format that knows no other times; 0 where each has its own.
        ends: whether the file says how long the last picture stays.
        least: pictures that there must be for FFmpeg to know the format.
        sound: codec of the sound; none where there can be no other streams.
    """

    suffix: str
    codec: str
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    tick: float = 1e-3
    rate: int = 0
    ends: bool = True
    least: int = 1
    sound: str = ""


H264 = {"preset": "ultrafast", "crf": "20", "bf": "2", "b-pyramid": "none"}
COVER = Format(".jpg", "mjpeg", "yuvj420p")
FORMATS = {
    "mp4": Format(".mp4", "libx264", options=H264, ends=False, sound="aac"),
    "mp4-intra": Format(".mp4", "mjpeg", "yuvj420p", sound="aac"),
    "mov": Format(".mov", "mpeg4", options={"qscale": "2"}, sound="aac"),
    "mkv": Format(".mkv", "libx264", options=H264, sound="aac"),
    "webm": Format(".webm", "libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
    "ts": Format(".ts", "libx264", options=H264, sound="aac", rate=25, least=4),
    "ts-any": Format(".ts", "libx264", options=H264, sound="aac", ends=False, least=4),
    "flv": Format(".flv", "libx264", options=H264, sound="aac", ends=False),
    "gif": Format(".gif", "gif", "rgb8", tick=1e-2),
    "avi": Format(".avi", "libx264", options=H264, rate=25, sound="mp2"),
    "avi-mpeg4": Format(".avi", "mpeg4", options={"bf": "2", "qscale": "2"}, rate=25, sound="mp2"),
    "mpg": Format(".mpg", "mpeg2video", options={"bf": "2", "qscale": "2"}, rate=25, sound="mp2"),
    "h264": Format(".h264", "libx264", options=H264, rate=24),
    "hevc": Format(".hevc", "libx265", options={"preset": "ultrafast", "x265-params": "log-level=none"}, rate=24),
    "mjpeg": Format(".mjpeg", "mjpeg", "yuvj420p", rate=25, least=2),
    "y4m": Format(".y4m", "rawvideo", rate=24),
    "mxf": Format(".mxf", "mpeg2video", options={"bf": "2", "qscale": "2"}, rate=25),
    "nut": Format(".nut", "mpeg4", options={"qscale": "2"}, ends=False, sound="mp2"),
    "asf": Format(".asf", "wmv2", ends=False, sound="mp2"),
}


def numbered(number: int) -> NDArray[np.uint8]:
    """A picture that survives any codec: its number in black and white bars, the lowest bit first."""
    bits = number >> np.arange(BITS) & 1
    bars = np.repeat(bits * 255, WIDTH // BITS).astype(np.uint8)
    return np.broadcast_to(bars[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def number_of(image: NDArray[np.uint8]) -> int:
    """Read the number of a picture."""
    bars = image.mean(axis=(0, 2)).reshape(BITS, -1)[:, 3:-3].mean(axis=1)
    return int((bars > 127) @ (1 << np.arange(BITS)))


def film(
    path: Path,
    form: Format,
    steps: Sequence[int],
    *,
    offset: int = 0,
    rate: int = 25,
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    first: int = 0,
) -> Path:
    """Write pictures that are numbered from `first`.

    Args:
        path: of the file; its suffix becomes that of the format.
        form: how to store it.
        steps: milliseconds for which each picture stays, where the format leaves the choice.
        offset: milliseconds at which the first one is shown.
        rate: pictures a second that the file states, right or wrong.
        before: kinds of streams, "sound", "video" and "cover", that come before it.
        after: the same, behind it.
        first: number of the first picture.
    """
    path = path.with_suffix(form.suffix)
    numbers = range(first, first + len(steps))
    unit = 1000 // form.rate if form.rate else 1
    stamps = offset // unit + np.cumsum([0, *([1] * len(steps) if form.rate else steps)])
    with av.open(str(path), "w") as file:
        tracks = []
        for kind in (*before, "main", *after):
            if kind == "sound":
                tracks.append(_add_sound(file, form, offset, sum(steps)))
            elif kind == "cover":
                tracks.append(_add_pictures(file, COVER, [BLANK], [0, 1], rate, Disposition.attached_pic))
            elif kind == "video":
                tracks.append(_add_pictures(file, form, [BLANK] * len(steps), stamps, rate, Disposition(0)))
            else:
                tracks.append(_add_pictures(file, form, numbers, stamps, form.rate or rate, Disposition.default))
        for stream, frames in tracks:
            for frame in (*frames, None):
                file.mux(stream.encode(frame))
    return path


def _add_pictures(
    file: OutputContainer,
    form: Format,
    numbers: Sequence[int],
    stamps: Sequence[int],
    rate: int,
    disposition: Disposition,
) -> tuple[VideoStream, list[VideoFrame]]:
    stream = file.add_stream(form.codec, rate=rate, options=dict(form.options))
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, form.pixel_format
    stream.codec_context.time_base = Fraction(1, form.rate or 1000)
    stream.codec_context.flags |= Flags.frame_duration
    stream.disposition = disposition.value  # as PyAV 17 wants it
    frames = []
    for number, (start, end) in zip(numbers, pairwise(stamps), strict=True):
        frame = VideoFrame.from_ndarray(numbered(number), "rgb24").reformat(format=form.pixel_format, threads=1)
        frame.pts, frame.duration, frame.time_base = int(start), int(end - start), stream.codec_context.time_base
        frames.append(frame)
    return stream, frames


def _add_sound(
    file: OutputContainer, form: Format, offset: int, milliseconds: int
) -> tuple[AudioStream, list[AudioFrame]]:
    rate, block = 48_000, 1152 if form.sound == "mp2" else 1024
    stream = file.add_stream(form.sound, rate=rate, layout="mono")
    kind = "s16" if form.sound == "mp2" else "fltp"
    frames = []
    for index in range(-(-milliseconds * rate // 1000 // block)):
        frame = AudioFrame.from_ndarray(np.zeros((1, block), np.int16 if kind == "s16" else np.float32), kind, "mono")
        frame.sample_rate, frame.pts = rate, offset * rate // 1000 + index * block
        frames.append(frame)
    return stream, frames


def joined(path: Path, parts: Sequence[Path]) -> Path:
    """Join files byte by byte, as recorders and broadcasts are."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def with_filter(path: Path, source: Path, bitstream_filter: str) -> Path:
    """Copy a video without sound, its packets through a bitstream filter of FFmpeg's."""
    with av.open(str(source)) as file, av.open(str(path), "w") as copy:
        stream = file.streams.video[0]
        target = copy.add_stream_from_template(stream)
        through = BitStreamFilterContext(bitstream_filter, stream, target)
        for packet in file.demux(stream):
            for filtered in through.filter(packet if packet.size else None):
                filtered.stream = target
                copy.mux(filtered)
    return path

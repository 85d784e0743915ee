"""How many pictures a video file says it holds, until when, and whether they are all there."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from isomer.media.demux import fraction, has_flag

_MATROSKA = "matroska,webm"
_WITH_LENGTH = frozenset({"avi", "ivf", "mov,mp4,m4a,3gp,3g2,mj2", "mxf", "rm", "wtv"})
"""Formats that say how long they are; in the rest, Matroska aside, FFmpeg finds it from what there is."""
_LEAST_BYTES = 188
"""Bytes that a picture takes at least where the clock may jump: a packet of MPEG-TS."""
_SEGMENT = b"\x18\x53\x80\x67"
_HEAD = 4096
"""Bytes in which a Matroska file's segment starts."""
_TOLERANCE = Fraction(1, 2)
"""Seconds by which a whole file may be shorter than it says."""


def mean_rate(container: InputContainer, stream: VideoStream) -> Fraction:
    """Mean frames a second, as the file states or implies it."""
    mean = fraction(stream.average_rate)
    # A picture at every tick is what the clock alone implies, and some formats have a clock that is much finer.
    is_implied = mean * fraction(stream.time_base) >= 1 or has_flag(container, Flags.no_timestamps)
    return (fraction(stream.guessed_rate) if is_implied or not mean else mean) or mean or Fraction(25)


def stated_count(container: InputContainer, stream: VideoStream) -> int | None:
    """Number of pictures, as the file states or implies it; None where it does not."""
    counts = [stream.frames] if stream.frames > 0 else []  # with those that an edit list cuts away
    end = _stated_end(container, stream)
    if end is not None:
        start = _start(container) if stream.start_time is None else _seconds(stream, stream.start_time)
        counts.append(max(1, round((end - start) * mean_rate(container, stream))))
    count = min(counts, default=None)
    # Where the clock may jump, the end is no more than the last stamp.
    if has_flag(container, Flags.ts_discont) and (count or 0) * _LEAST_BYTES > (container.size or 0):
        return None
    return count


class Extent:
    """How much of a file has been read, as against what the file says it holds."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        self._count = 0
        self._ends: dict[int, int] = {}  # by stream, in ticks

    def add(self, packet: Packet[Stream]) -> None:
        """Take note of a packet that has been read."""
        index, stamp = packet.stream_index, packet.dts if packet.pts is None else packet.pts
        self._count += index == self._stream.index
        if stamp is not None:
            end = stamp + (packet.duration or 0)
            self._ends[index] = max(end, self._ends.get(index, end))

    def is_cut(self) -> bool:
        """Whether the file, read to its end, ends before it says it does."""
        container, stream = self._container, self._stream
        if container.format.name == _MATROSKA:
            return _is_segment_cut(Path(container.name))
        end = _stated_end(container, stream)
        if end is None or container.format.name not in _WITH_LENGTH or self._holds_all():
            return False
        indices = self._ends if stream.duration is None else [stream.index]
        reached = [_seconds(container.streams[index], self._ends.get(index, 0)) for index in indices]
        return end > max(reached, default=0) + max(_TOLERANCE, 2 / mean_rate(container, stream))

    def _holds_all(self) -> bool:
        return 0 < self._stream.frames <= self._count


def _stated_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Second at which the stream ends or, where the file tells that alone, all of it."""
    is_end = _calls_end_length(container)
    if stream.duration is not None:
        return _seconds(stream, stream.duration + (0 if is_end else stream.start_time or 0))
    if container.duration is None:
        return None
    return Fraction(container.duration, av.time_base) + (0 if is_end else _start(container))


def _calls_end_length(container: InputContainer) -> bool:
    """Whether what FFmpeg takes for the length is the end, as it is in the Matroska that FFmpeg itself writes."""
    if container.format.name != _MATROSKA:
        return container.format.name in ("asf", "nut")
    return any(key.lower() == "encoder" and tag.startswith("Lavf") for key, tag in container.metadata.items())


def _start(container: InputContainer) -> Fraction:
    return Fraction(container.start_time or 0, av.time_base)


def _seconds(stream: Stream, ticks: int) -> Fraction:
    return ticks * fraction(stream.time_base)


def _is_segment_cut(path: Path) -> bool:
    """Whether a Matroska file is shorter than its segment: an identifier, a size, that much (RFC 8794, 4 to 6)."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        length = file.seek(0, os.SEEK_END)
    at = head.find(_SEGMENT) + len(_SEGMENT)
    width = 9 - head[at].bit_length()
    most = (1 << 7 * width) - 1
    size = int.from_bytes(head[at : at + width], "big") & most
    return size != most and at + width + size > length  # all ones where the length was not known to the writer

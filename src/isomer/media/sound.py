"""The sound of a video file, in step with its frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from isomer.media.clock import PacketClock
from isomer.media.demux import fraction, open_container

_PATIENCE = 64
"""Packets at the start of which one must decode."""


class Sound:
    """The audio stream of a video file that players take: one that is marked as the default, and of several the best.

    Args:
        path: of the file.
        stream: in the file.
        start: second of the file's clock that is 0 to its frames.
        max_pixels: of the pictures beside it; see `open_container`.
        first: decoded of it.

    Attributes:
        rate: samples a second.
        channels: their number.
    """

    def __init__(self, path: Path, stream: AudioStream, start: float, max_pixels: int, first: AudioFrame) -> None:
        self.rate, self.channels = first.sample_rate, len(first.layout.channels)
        self._path = path
        self._index = stream.index
        self._start = start
        self._max_pixels = max_pixels
        self._is_damage_said = False

    @contextmanager
    def opened(self) -> Iterator[OpenSound]:
        """Open the file anew, to read the sound from its beginning."""
        with open_container(self._path, self._max_pixels) as container:
            stream = container.streams[self._index]
            assert isinstance(stream, AudioStream)
            yield OpenSound(self, container, stream, self._start)

    def say_damage(self) -> None:
        """Warn that not all of it decodes, once, however often it is read."""
        if not self._is_damage_said:
            self._is_damage_said = True
            warnings.warn(f"{self._path.name}: some of its sound cannot be decoded and is left out", stacklevel=2)


class OpenSound:
    """A sound that is read once.

    Attributes:
        sound: which it is.
        codec: FFmpeg's name of its codec.
        stream: in the file.
    """

    def __init__(self, sound: Sound, container: InputContainer, stream: AudioStream, start: float) -> None:
        self.sound = sound
        self.codec = stream.codec_context.codec.canonical_name
        self.stream = stream
        self._container = container
        self._start = start

    def packets(self) -> Iterator[tuple[Packet[Stream] | None, list[AudioFrame]]]:
        """Yield the packets that decode, each with what it brings forth; at the end none, with the rest.

        Their time stamps are 0 where the first frame of the video is shown.
        """
        shift = round(self._start / fraction(self.stream.time_base))
        expected = 0
        for packet in _packets(self._container, self.stream):
            stamp = packet.dts if packet.pts is None else packet.pts
            packet.pts = packet.dts = expected if stamp is None else stamp - shift  # it is decoded as it is heard
            expected = packet.pts + (packet.duration or 0)
            frames = _decode(self.stream, packet)
            if frames is None:
                self.sound.say_damage()
            else:
                yield packet, frames
        yield None, _decode(self.stream, None) or []


def find_sound(path: Path, start: float, max_pixels: int) -> Sound | None:
    """Find the sound of a video; None where there is none or, with a warning, where it cannot be decoded.

    Args:
        path: of the file.
        start: second of the file's clock at which its first frame is shown.
        max_pixels: of the pictures beside it; see `open_container`.

    Raises:
        InputError: the file cannot be read.
    """
    with open_container(path, max_pixels) as container:
        stream = _main_audio(container)
        if stream is None:
            return None
        tried = 0
        for packet in _packets(container, stream) if stream.codec_context is not None else ():
            frame = next(iter(_decode(stream, packet) or ()), None)
            if frame is not None:
                return Sound(path, stream, start, max_pixels, frame)
            tried += 1
            if tried == _PATIENCE:
                break
    if tried or stream.codec_context is None:
        warnings.warn(f"{path.name}: its sound cannot be decoded; the outputs are silent", stacklevel=2)
    return None


def _main_audio(container: InputContainer) -> AudioStream | None:
    streams = container.streams.audio
    choice = [stream for stream in streams if stream.disposition & Disposition.default] or list(streams)
    best = container.streams.best("audio")
    return best if isinstance(best, AudioStream) and best in choice else next(iter(choice), None)


def _packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[Stream]]:
    """Yield the whole packets of a stream, their stamps mended, as far as the file can be read."""
    clock = PacketClock(container)
    try:
        for packet in container.demux():
            if packet.size:
                clock.mend(packet)
                if packet.stream is stream and not packet.is_corrupt:
                    yield packet
    except (IndexError, av.error.FFmpegError):  # see `isomer.media.video`, which also tells that there is damage
        pass


def _decode(stream: AudioStream, packet: Packet[Stream] | None) -> list[AudioFrame] | None:
    """Return what a packet brings forth, None for an error; no packet is the end of the stream."""
    if packet is not None and packet.has_sidedata("encryption_info"):
        return None
    try:
        return stream.codec_context.decode(packet)
    except av.error.FFmpegError:
        return None

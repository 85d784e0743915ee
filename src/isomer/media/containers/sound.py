"""The sound of a video that is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.filter import Graph
from av.packet import Packet
from av.stream import Stream

from isomer.media.sound import OpenSound

_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_BITS_PER_CHANNEL = 96_000  # a second
_LEAST_MP3_RATE = 16_000
"""Samples a second; fewer are of "MPEG 2.5", which is no standard, and MP4 does not take them."""


@dataclass(frozen=True)
class SoundFormat:
    """What sound a file may have.

    Attributes:
        copied: FFmpeg's names of codecs whose packets go in as they are.
        encoder: of all other sound.
        sample_format: that the encoder takes.
        filled: codecs that are kept, but encoded again, because the file cannot tell of gaps in them.
        may_precede: whether what is heard before the first picture may be in the file, for players to skip: packets
            that decoders need to get going.
    """

    copied: frozenset[str]
    encoder: str
    sample_format: str
    filled: frozenset[str] = frozenset()
    may_precede: bool = False


class SoundTrack:
    """Sound on its way into a video.

    Args:
        container: the video, whose header is not written yet.
        form: of the sound there.
        opened: the sound; it stays open.
    """

    def __init__(self, container: OutputContainer, form: SoundFormat, opened: OpenSound) -> None:
        self._container = container
        is_rare = opened.codec == "mp3" and opened.sound.rate < _LEAST_MP3_RATE
        if opened.codec in form.copied and not is_rare:
            self._stream = container.add_stream_from_template(opened.stream)
            self._packets = self._copied(opened, form.may_precede)
        else:
            self._stream = _encoder(container, form, opened)
            self._packets = self._encoded(opened)
        self._next: Packet[Stream] | None = None

    def write(self, until: float) -> None:
        """Write what is heard until a second of the video."""
        packet = self._next or next(self._packets, None)
        while packet is not None and (packet.pts or 0) * packet.time_base <= until:
            self._container.mux(packet)
            packet = next(self._packets, None)
        self._next = packet

    def _copied(self, opened: OpenSound, may_precede: bool) -> Iterator[Packet[Stream]]:
        last = None
        for packet, _ in opened.packets():
            if packet is None or packet.pts is None:
                continue
            earliest = 1 - (packet.duration or 0) if may_precede else 0
            if packet.pts >= earliest and (last is None or packet.pts > last):
                last = packet.pts
                packet.stream = self._stream
                yield packet

    def _encoded(self, opened: OpenSound) -> Iterator[Packet[Stream]]:
        context = self._stream.codec_context
        decoded = (frame for _, frames in opened.packets() for frame in frames)
        for frame in _in_step(decoded, context.sample_rate, context.layout.name, context.format.name):
            yield from self._stream.encode(frame)
        yield from self._stream.encode(None)


def _encoder(container: OutputContainer, form: SoundFormat, opened: OpenSound) -> AudioStream:
    is_kept = opened.codec in form.filled
    encoder = opened.codec if is_kept else form.encoder
    rate, rates = opened.sound.rate, av.Codec(encoder, "w").audio_rates
    stream = container.add_stream(
        encoder,
        rate=rate if rates is None or rate in rates else 48_000,
        layout=_LAYOUTS.get(opened.sound.channels, "stereo"),
    )
    assert isinstance(stream, AudioStream)
    if not is_kept:
        stream.format = form.sample_format
        stream.bit_rate = _BITS_PER_CHANNEL * len(stream.layout.channels)
    return stream


def _in_step(frames: Iterator[AudioFrame], rate: int, layout: str, sample_format: str) -> Iterator[AudioFrame]:
    """Resample sound, and make it one without gaps: silence where there is none, from time 0 on."""
    graph = Graph()
    entry = graph.add_abuffer(sample_rate=rate, format=sample_format, layout=layout, time_base=Fraction(1, rate))
    fill, end = graph.add("aresample", "async=1:first_pts=0"), graph.add("abuffersink")
    entry.link_to(fill)
    fill.link_to(end)
    graph.configure()
    resampler, kind = AudioResampler(sample_format, layout, rate), None
    for frame in frames:
        kind, last = (frame.format.name, frame.layout.name, frame.sample_rate, frame.time_base), kind
        if kind != last:  # it may change midway
            resampler = AudioResampler(sample_format, layout, rate)
        for converted in resampler.resample(frame):
            if converted.pts is not None and converted.time_base is not None:
                converted.pts = round(converted.pts * converted.time_base * rate)
            graph.push(converted)
            yield from _pulled(graph)
    graph.push(None)
    yield from _pulled(graph)


def _pulled(graph: Graph) -> Iterator[AudioFrame]:
    with suppress(av.error.BlockingIOError, av.error.EOFError):
        while True:
            frame = graph.pull()
            assert isinstance(frame, AudioFrame)
            yield frame

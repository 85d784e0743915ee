"""A video file as a source of frames, through FFmpeg (PyAV)."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.codec import CodecContext
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.media.clock import PacketClock, PictureClock
from isomer.media.colour import Deep, RGBConverter, Tags, is_deep, tags_of
from isomer.media.demux import ENCRYPTED, decoder_options, fraction, main_video, open_container
from isomer.media.extent import Extent, mean_rate, stated_count
from isomer.media.frame import Frame
from isomer.media.image import MAX_PIXELS
from isomer.media.sound import Sound, find_sound

_Level = TypeVar("_Level", np.uint8, np.uint16)

_LONGEST_PIXEL = 4
"""A pixel that is stated to be longer is a mistake, or a trap that makes outputs huge: it is taken for square."""
# FFmpeg's own decoders of these leave the opacity out.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class DamagedVideoWarning(UserWarning):
    """Part of a video could not be decoded; the message says how many frames were."""


class VideoSource:
    """The frames of a video file's main video stream; see `FrameSource`.

    Rotation and mirroring that the file asks players for are applied, as its first picture has them; HDR is toned
    down to SDR; subtitles and cover art are ignored; interlaced material is not deinterlaced. A picture that
    changes its size midway is scaled to the first. Damage is not fatal: what decodes is yielded, then a
    `DamagedVideoWarning` is issued.

    Args:
        path: of the file.
        max_pixels: the most that a picture may have; decoders do not even make room for many more.
        alpha: make the images RGBA, uint8 [H, W, 4]; else opacity is ignored.
        audio: have `sound`.
        deep: yield frames that are `deep`, unless 8 bits hold all of them.

    Attributes:
        has_alpha: whether the pictures are decoded with their opacity; where not, all are opaque.
        pixel_aspect: width of the pixels over their height, after rotation.
        tags: of the frames' depth; those of `Frame.image` where they have no more.

    Raises:
        InputError: the file is no video, has no video stream, is encrypted, or none of its frames decodes; or, also
            from iterating, a picture has more than `max_pixels`.
    """

    def __init__(
        self,
        path: str | Path,
        max_pixels: int = MAX_PIXELS,
        *,
        alpha: bool = False,
        audio: bool = False,
        deep: bool = False,
    ) -> None:
        self.path = Path(path)
        self._max_pixels = max_pixels
        self._alpha = alpha
        self._audio = audio
        with _open(self.path, self._max_pixels) as (container, stream):
            pictures = self._decode(container, stream, Extent(container, stream))
            picture = next((picture for picture in pictures if picture is not None), None)
            if picture is None:
                raise InputError(f"{self.path}: no frame can be decoded; the file is damaged")
            self._coded_size = (picture.width, picture.height)
            self.has_alpha = any(component.is_alpha for component in picture.format.components)
            self._is_deep = deep and is_deep(picture)
            self.tags = tags_of(picture) if self._is_deep else Tags()
            self._orientation = _Orientation(picture)
            turned = self._orientation.transposed
            self.size = (picture.height, picture.width) if turned else (picture.width, picture.height)
            aspect = fraction(stream.sample_aspect_ratio, 1)
            if not Fraction(1, _LONGEST_PIXEL) <= aspect <= _LONGEST_PIXEL:
                aspect = Fraction(1)
            self.pixel_aspect = 1 / aspect if turned else aspect
            self.fps = mean_rate(container, stream)
            clock = PictureClock(fraction(stream.time_base, 1), self.fps)
            clock.read(picture)
            self._start = clock.start
            self.count = stated_count(container, stream)

    @cached_property
    def sound(self) -> Sound | None:
        """Sound for the outputs, if there is any and they are to have it."""
        return find_sound(self.path, self._start, self._max_pixels) if self._audio else None

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames that decode, then warn (DamagedVideoWarning) if some did not."""
        to_rgb = RGBConverter(*self._coded_size, alpha=self._alpha)
        count = 0
        damaged_at: int | None = None
        last: Frame | None = None  # held back until the next one tells how long it stays
        with _open(self.path, self._max_pixels) as (container, stream):
            extent, clock = Extent(container, stream), PictureClock(fraction(stream.time_base, 1), self.fps)
            for picture in self._decode(container, stream, extent):
                if picture is None:
                    damaged_at = count if damaged_at is None else damaged_at
                    continue
                time, duration = clock.read(picture)
                if last is not None:
                    yield replace(last, duration=time - last.time)
                image = self._orientation.upright(to_rgb(picture))
                at_depth = partial(self._at_depth, picture) if self._is_deep else None
                last = Frame(count, image, time, f"{count:05d}", duration, at_depth)
                count += 1
            if last is not None:
                yield last
        if damaged_at is not None:
            what = f"those {count}" if damaged_at == count else f"the {count} that decode"
            warnings.warn(
                f"{self.path.name}: damaged after {damaged_at} frames; {what} were processed",
                DamagedVideoWarning,
                stacklevel=2,
            )

    def _at_depth(self, picture: VideoFrame) -> Deep:
        converter = RGBConverter(*self._coded_size)
        return Deep(self._orientation.upright(converter.deep(picture)), self.tags)

    def _decode(self, container: InputContainer, stream: VideoStream, extent: Extent) -> Iterator[VideoFrame | None]:
        """Yield every picture that decodes, and None for a gap: amid them or, if the file is cut, at the end."""
        decoder = _decoder(stream, self._alpha)
        gap = False
        due = shown = 0
        for packet in _packets(container, stream, extent):
            if packet is not None and packet.has_sidedata("encryption_info"):
                raise InputError(f"{self.path}: {ENCRYPTED}")
            pictures = None if packet is None else self._decode_packet(decoder, packet)
            if pictures is None:
                gap = True
                continue
            due += packet is not None and not packet.is_discard
            if gap and pictures:
                gap = False
                yield None
            shown += len(pictures)
            yield from pictures
        held = self._decode_packet(decoder, None)  # what the decoder still holds, from before any gap
        shown += len(held or ())
        yield from held or ()
        if shown < due and stream.thread_type is ThreadType.AUTO:
            yield from self._decode_rest(shown)
        elif gap or held is None or extent.is_cut():
            yield None

    def _decode_rest(self, shown: int) -> Iterator[VideoFrame | None]:
        """Yield what comes after so many pictures, decoded one after another.

        Where several are decoded at once, an error ends the decoding of all that are left at the end of the file.
        """
        with _open(self.path, self._max_pixels, ThreadType.SLICE) as (container, stream):
            for picture in self._decode(container, stream, Extent(container, stream)):
                if shown > 0:
                    shown -= picture is not None
                else:
                    yield picture

    def _decode_packet(self, decoder: VideoCodecContext, packet: Packet[Stream] | None) -> list[VideoFrame] | None:
        """Return the pictures that a packet brings forth, None for an error; no packet is the end of the stream."""
        try:
            pictures = decoder.decode(packet)
        except av.error.FFmpegError:
            # The decoder may have made no room for a picture. It forgets the size of one that is too large, and of
            # nonsense, too, which is what it is where the bound is wide.
            if decoder.width * decoder.height or self._max_pixels < MAX_PIXELS:
                self._check_pixels(decoder.width, decoder.height)
            return None
        for picture in pictures:
            self._check_pixels(picture.width, picture.height)
        return pictures

    def _check_pixels(self, width: int, height: int) -> None:
        if not 0 < width * height <= self._max_pixels:
            raise InputError(f"{self.path}: a picture of more than {self._max_pixels} pixels; make the video smaller")


@contextmanager
def _open(
    path: Path, max_pixels: int, threads: ThreadType = ThreadType.AUTO
) -> Iterator[tuple[InputContainer, VideoStream]]:
    with open_container(path, max_pixels) as container:
        stream = main_video(container, path)
        stream.thread_type = threads
        stream.codec_context.options = decoder_options(max_pixels)
        yield container, stream


def _decoder(stream: VideoStream, alpha: bool) -> VideoCodecContext:
    """Return the stream's decoder, or one that also gives the opacity where that one does not."""
    name = _ALPHA_DECODERS.get(stream.codec_context.name) if stream.metadata.get("alpha_mode") == "1" else None
    if name is None or not alpha:
        return stream.codec_context
    decoder = CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.options = stream.codec_context.options
    return decoder


def _packets(container: InputContainer, stream: VideoStream, extent: Extent) -> Iterator[Packet[Stream] | None]:
    """Yield the packets of a stream with their stamps mended, and None for what cannot be read or is cut off."""
    clock = PacketClock(container)
    suspect: Packet[Stream] | None = None
    try:
        for packet in container.demux():
            if not packet.size:  # repeats the last picture, or is PyAV's sign of the end
                continue
            extent.add(packet)
            clock.mend(packet)
            if suspect is not None:
                yield suspect
                suspect = None
            if packet.stream is not stream:
                continue
            if packet.is_corrupt:  # or so the demuxer suspects; what the end of the file cuts off is, surely
                suspect = packet
            else:
                yield packet
    except IndexError:  # PyAV before 19 trips, behind the last packet, over streams that were not there at the start
        pass
    except av.error.FFmpegError:
        yield None
    if suspect is not None:
        yield None


class _Orientation:
    """How a picture is turned and mirrored to be upright, from the display matrix of its stream.

    The matrix (a, b, u, c, d, v, x, y, w) maps a pixel to x' = a x + c y, y' = b x + d y.
    """

    def __init__(self, picture: VideoFrame) -> None:
        matrix = picture.side_data.get("DISPLAYMATRIX")
        a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix)) if isinstance(matrix, SideData) else (1, 0, 0, 0, 1)
        self.transposed = abs(b) > abs(a)
        self._flip_x, self._flip_y = (c < 0, b < 0) if self.transposed else (a < 0, d < 0)

    def upright(self, image: NDArray[_Level]) -> NDArray[_Level]:
        if self.transposed:
            image = image.transpose(1, 0, 2)
        if self._flip_x:
            image = image[:, ::-1]
        if self._flip_y:
            image = image[::-1]
        return np.ascontiguousarray(image)

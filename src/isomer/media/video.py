"""A video file as a source of frames, through FFmpeg (PyAV)."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec import CodecContext
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.media.container import decoder_options, open_container
from isomer.media.frame import Frame

_LONGEST_PIXEL = 4
"""A pixel that is stated to be longer is a mistake, or a trap that makes outputs huge: it is taken for square."""
# FFmpeg's own decoders of these leave the opacity out.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class DamagedVideoWarning(UserWarning):
    """Part of a video could not be decoded; the message says how many frames were."""


class VideoSource:
    """The frames of a video file's main video stream; see `FrameSource`.

    Rotation and mirroring that the file asks players for are applied; audio, subtitles and cover art are
    ignored; interlaced material is not deinterlaced. A picture that changes its size midway is scaled to
    the first. Damage is not fatal: what decodes is yielded, then a `DamagedVideoWarning` is issued.

    Args:
        path: of the file.
        max_pixels: the most that a picture may have; decoders do not even make room for many more.
        alpha: make the images RGBA, uint8 [H, W, 4]; else opacity is ignored.

    Attributes:
        has_alpha: whether the pictures are decoded with their opacity; where not, all are opaque.
        pixel_aspect: width of the pixels over their height, after rotation.

    Raises:
        InputError: the file is no video, has no video stream, or none of its frames decodes; or, also from
            iterating, a picture has more than `max_pixels`.
    """

    def __init__(self, path: str | Path, max_pixels: int | None = None, *, alpha: bool = False) -> None:
        self.path = Path(path)
        self._max_pixels = max_pixels
        self._alpha = alpha
        with _open(self.path, self._max_pixels) as (container, stream):
            pictures = _decode(container, stream, _decoder(stream, alpha), self._check_pixels)
            picture = next((picture for picture in pictures if picture is not None), None)
            if picture is None:
                raise InputError(f"{self.path}: no frame can be decoded; the file is damaged")
            self._coded_size = (picture.width, picture.height)
            self.has_alpha = any(component.is_alpha for component in picture.format.components)
            turned = _Orientation(picture).transposed
            self.size = (picture.height, picture.width) if turned else (picture.width, picture.height)
            aspect = Fraction(stream.sample_aspect_ratio or 1)
            if not Fraction(1, _LONGEST_PIXEL) <= aspect <= _LONGEST_PIXEL:
                aspect = Fraction(1)
            self.pixel_aspect = 1 / aspect if turned else aspect
            self.fps = Fraction(stream.average_rate or stream.guessed_rate or 25)
            self.count = stream.frames or _frames_by_duration(container, self.fps)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames that decode, then warn (DamagedVideoWarning) if some did not."""
        width, height = self._coded_size
        pixel_format = "rgba" if self._alpha else "rgb24"
        reformatter = VideoReformatter()
        index, start, time = 0, 0.0, 0.0
        damaged_at: int | None = None
        with _open(self.path, self._max_pixels) as (container, stream):
            for picture in _decode(container, stream, _decoder(stream, self._alpha), self._check_pixels):
                if picture is None:
                    damaged_at = index if damaged_at is None else damaged_at
                    continue
                stamp = 0.0 if picture.time is None else picture.time
                if index == 0:
                    start = stamp
                else:  # damaged and raw streams have stamps that are missing or go back
                    time = stamp - start if stamp - start > time else time + float(1 / self.fps)
                pixels = reformatter.reformat(picture, width, height, pixel_format, threads=1).to_ndarray()
                image = _Orientation(picture).upright(np.asarray(pixels, np.uint8))
                yield Frame(index, image, time, f"{index:05d}")
                index += 1
        if damaged_at is not None:
            what = f"those {index}" if damaged_at == index else f"the {index} that decode"
            warnings.warn(
                f"{self.path.name}: damaged after {damaged_at} frames; {what} were processed",
                DamagedVideoWarning,
                stacklevel=2,
            )

    def _check_pixels(self, width: int, height: int) -> None:
        if self._max_pixels is not None and not 0 < width * height <= self._max_pixels:
            raise InputError(f"{self.path}: a picture of more than {self._max_pixels} pixels; make the video smaller")


@contextmanager
def _open(path: Path, max_pixels: int | None) -> Iterator[tuple[InputContainer, VideoStream]]:
    with open_container(path, max_pixels) as container:
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            raise InputError(f"{path}: has no video stream; give a video file")
        best = container.streams.best("video")
        stream = best if isinstance(best, VideoStream) and best in streams else streams[0]
        stream.thread_type = "AUTO"
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


def _decode(
    container: InputContainer, stream: VideoStream, decoder: VideoCodecContext, check: Callable[[int, int], None]
) -> Iterator[VideoFrame | None]:
    """Yield every picture that decodes, and None for a gap: amid them or, if the file is cut, at the end.

    `check` is told the width and height of every picture, and of one for which a decoder may have made no room.
    """
    packets = container.demux()
    gap = False
    reached = 0.0  # seconds, over all streams: the sound often ends after the pictures
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            if packet.pts is not None and packet.time_base is not None:
                reached = max(reached, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream is not stream:
                continue
            if packet.is_corrupt:  # cut short: would decode to a picture that is part gray
                gap = True
                continue
            pictures = decoder.decode(packet)
        except av.error.FFmpegError:
            check(decoder.width, decoder.height)  # 0 where the decoder forgets them
            gap = True
            continue
        if gap and pictures and packet.size:  # the last packet is empty: it asks for what the decoder still holds
            gap = False
            yield None
        for picture in pictures:
            assert isinstance(picture, VideoFrame)
            check(picture.width, picture.height)
            yield picture
    if gap or _stated_end(container) - reached > max(0.5, 2 / (stream.average_rate or 24)):
        yield None


def _stated_end(container: InputContainer) -> float:
    """Seconds at which the file says it ends; 0 where it says nothing."""
    return ((container.start_time or 0) + (container.duration or 0)) / av.time_base


def _frames_by_duration(container: InputContainer, fps: Fraction) -> int | None:
    if container.duration is None:
        return None
    return max(1, round(container.duration * fps / av.time_base))


class _Orientation:
    """How a picture is turned and mirrored to be upright, from the display matrix of its stream.

    The matrix (a, b, u, c, d, v, x, y, w) maps a pixel to x' = a x + c y, y' = b x + d y.
    """

    def __init__(self, picture: VideoFrame) -> None:
        matrix = picture.side_data.get("DISPLAYMATRIX")
        a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix)) if isinstance(matrix, SideData) else (1, 0, 0, 0, 1)
        self.transposed = abs(b) > abs(a)
        self._flip_x, self._flip_y = (c < 0, b < 0) if self.transposed else (a < 0, d < 0)

    def upright(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.transposed:
            image = image.transpose(1, 0, 2)
        if self._flip_x:
            image = image[:, ::-1]
        if self._flip_y:
            image = image[::-1]
        return np.ascontiguousarray(image)

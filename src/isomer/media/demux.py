"""Opening a video file with FFmpeg (PyAV), which then reads nothing but that file, and choosing its main stream."""

from __future__ import annotations

import errno
import re
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
from av.container import Flags, InputContainer
from av.format import Flags as FormatFlags
from av.stream import Disposition
from av.video.stream import VideoStream

from isomer.errors import InputError

# A file may name other files and addresses (playlists, concat scripts, data references), which FFmpeg would
# open. Only these formats are read, each whole in its file, and only from the file system.
_FORMATS = (
    "asf,av1,avi,dv,flv,gif,h261,h263,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,"
    "ogg,rm,vc1,wtv,yuv4mpegpipe"
)
# Tags may be in any encoding. PyAV 19 takes them as they are and has no such option.
_ANY_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}

ENCRYPTED = "is encrypted; give a copy without protection"
"""What is said of a video that is."""


def open_container(path: Path, max_pixels: int, formats: str = _FORMATS) -> InputContainer:
    """Open a video file; the container is a context manager that closes it.

    Args:
        path: of the file.
        max_pixels: decoders do not make room for pictures of many more.
        formats: FFmpeg's names of the demuxers to try, with commas between.

    Raises:
        InputError: the file cannot be read, or is none of these formats.
    """
    options = {"protocol_whitelist": "file", "format_whitelist": formats}
    try:
        # Absolute, so that no name can read as a protocol ("concat:...").
        container: InputContainer = av.open(
            str(path.absolute()), container_options=options, options=decoder_options(max_pixels), **_ANY_TAGS
        )
    except (av.error.FFmpegError, OSError) as error:
        if error.errno == errno.EINVAL:  # FFmpeg knows what it is, and that it is none of the formats
            raise InputError(f"{path}: not a video, but an image, sound or the like; give a video file") from error
        if isinstance(error, PermissionError):
            raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
        raise InputError(f"{path}: not a video that can be read ({error.strerror}); give a whole video file") from error
    # PyAV has FFmpeg make up missing stamps, which come out in the order of decoding.
    container.flags &= ~cast(int, Flags.gen_pts.value)
    return container


def decoder_options(max_pixels: int) -> dict[str, str]:
    """Options that keep a decoder from making room for pictures of many more than `max_pixels`."""
    return {"max_pixels": str(2 * max_pixels + 2**20)}  # decoders count the edges that they add to a picture


def has_flag(container: InputContainer, flag: FormatFlags) -> bool:
    """Whether the format of a file has one of FFmpeg's marks."""
    return bool(container.format.flags & cast(int, flag.value))


def fraction(ratio: Any, otherwise: int = 0) -> Fraction:
    """A ratio of PyAV's, which is a Fraction or None and from 19 on its own; `otherwise` where it is not known."""
    return Fraction(ratio or otherwise)


def main_video(container: InputContainer, path: Path) -> VideoStream:
    """Choose the video stream to show: one that is marked as the default, and of several the best.

    Raises:
        InputError: there is none, or none whose codec is known.
    """
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        raise InputError(f"{path}: has no video stream; give a video file")
    decodable = [s for s in videos if s.codec_context is not None]
    if not decodable:
        raise InputError(f"{path}: {_why_undecodable(container)}")
    choice = [s for s in decodable if s.disposition & Disposition.default] or decodable
    best = container.streams.best("video")
    return best if isinstance(best, VideoStream) and best in choice else choice[0]


def _why_undecodable(container: InputContainer) -> str:
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # of a codec without a decoder FFmpeg tells the name in its log alone
    try:
        described = cast(Any, container).dumps_format()  # which PyAV's stubs lack before 19
    finally:
        av.logging.set_level(level)
    codec = next(iter(re.findall(r"Video: (\w+(?: \([^)]*\))*)", described)), "none")
    if "encv" in codec:
        return ENCRYPTED
    return f"its codec, {codec}, cannot be decoded; convert the video to another first, such as H.264"

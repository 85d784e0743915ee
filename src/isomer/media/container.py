"""Opening a video file with FFmpeg (PyAV), which then reads nothing but that file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from isomer.errors import InputError

# A file may name other files and addresses (playlists, concat scripts, data references), which FFmpeg would
# open. Only these formats are read, each whole in its file, and only from the file system.
_FORMATS = (
    "asf,av1,avi,dv,flv,gif,h261,h263,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,"
    "ogg,rm,vc1,wtv,yuv4mpegpipe"
)
# Tags may be in any encoding. PyAV 19 takes them as they are and has no such option.
_ANY_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


def open_container(path: Path, max_pixels: int | None = None, formats: str = _FORMATS) -> InputContainer:
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
        raise InputError(f"{path}: not a video that can be read ({error.strerror}); give a whole video file") from error
    return container


def decoder_options(max_pixels: int | None) -> dict[str, str]:
    """Options that keep a decoder from making room for pictures of many more than `max_pixels`."""
    # Decoders count with a picture the edges they add to it.
    return {} if max_pixels is None else {"max_pixels": str(2 * max_pixels + 2**20)}

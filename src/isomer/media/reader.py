"""From a path to a source of frames."""

from __future__ import annotations

from pathlib import Path

from isomer.errors import InputError
from isomer.files import local_path
from isomer.media.folder import FolderSource
from isomer.media.frame import FrameSource
from isomer.media.image import MAX_PIXELS
from isomer.media.video import VideoSource


def open_frames(
    path: str | Path, max_pixels: int = MAX_PIXELS, *, audio: bool = False, deep: bool = False
) -> FrameSource:
    """Open a local video file or a folder of images; nothing else is ever opened, whatever the file names.

    Args:
        path: of the file or folder.
        max_pixels: the most that a frame may have, so that no input takes all the memory.
        audio: outputs are to have the sound of a video.
        deep: outputs are to have the depth of the frames, where it is more than 8 bits.

    Raises:
        InputError: the path is missing, no video, without a frame that decodes, or a folder without images or
            with images of different sizes; or a frame has more than `max_pixels` (one that comes later in a
            video raises when it is reached).
    """
    path = local_path(path)
    try:
        if path.is_dir():
            return FolderSource(path, max_pixels=max_pixels, deep=deep)
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; check the path")
        if not path.is_file():
            raise InputError(f"{path}: neither a file nor a folder; give a video file")
        return VideoSource(path, max_pixels, audio=audio, deep=deep)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error

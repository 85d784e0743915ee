"""From what the user names to the videos of a batch, each with its place in the output folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from isomer.errors import InputError
from isomer.files import local_path
from isomer.media.image import IMAGE_SUFFIXES

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "flv", "ivf", "m2ts", "m4v", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "mxf", "ogv", "ts", "webm", "wmv", "y4m"),
    )
)
"""What counts as a video inside a folder; a file that is named itself may have any suffix."""


@dataclass(frozen=True)
class Video:
    """One video of a batch.

    Attributes:
        path: absolute, of a video file or a folder of images.
        target: absolute; outputs are `<target>_overlay.mp4` and so on.
    """

    path: Path
    target: Path


def find_videos(inputs: Sequence[str | Path], output: str | Path) -> list[Video]:
    """Find the videos and give each its place: below `output` as it lies below what it was found in.

    Args:
        inputs: videos, folders that are searched for videos and for folders of images, glob patterns, and
            lists, which are `.txt` files with one video or folder a line.
        output: the folder of the batch; it is not searched.

    Raises:
        InputError: an input is missing or has no videos, or two videos would have the same outputs.
    """
    output = Path(output).absolute()
    named: list[Path] = []
    found: dict[Path, Path] = {}  # video -> its path below the folder it was found in
    for entry in _entries(inputs):
        if not entry.is_dir():
            named.append(entry)
            continue
        videos = _search(entry, output)
        if not videos:
            raise InputError(f"{entry}: no videos in this folder; give one with videos or images")
        if videos == [entry]:
            named.append(entry)
        else:
            found |= {video: video.relative_to(entry) for video in videos}
    if named:
        parent = os.path.commonpath([video.parent for video in named])
        found = {video: video.relative_to(parent) for video in named} | found

    videos_at: dict[Path, Path] = {}
    for path, relative in found.items():
        target = output / (relative if path.is_dir() else relative.with_suffix(""))
        if target in videos_at:
            raise InputError(
                f"{path}: would have the same outputs as {videos_at[target]}; rename one, or leave one out"
            )
        videos_at[target] = path
    return [Video(path, target) for target, path in videos_at.items()]


def _entries(inputs: Sequence[str | Path]) -> list[Path]:
    """Expand lists and glob patterns to absolute paths that exist."""
    entries: list[Path] = []
    for entry in map(str, inputs):
        path = local_path(entry)
        if path.suffix.lower() == ".txt" and path.is_file():
            entries += _lines(path)  # one that is missing fails by itself, the others are segmented
        elif path.exists():
            entries.append(path.absolute())
        elif matches := sorted(glob.glob(entry, recursive=True)):  # noqa: PTH207 (may be absolute)
            entries += [Path(match).absolute() for match in matches]
        else:
            raise InputError(f"{entry}: no such file or folder, and no pattern that matches; check the path")
    if not entries:
        raise InputError(f"{', '.join(map(str, inputs))}: names no videos; give videos, folders or patterns")
    return list(dict.fromkeys(entries))


def _lines(path: Path) -> list[Path]:
    """Read the paths in a list, which are relative to it, so that it means the same from anywhere."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read; give a text file with one video a line") from error
    return [path.parent.absolute() / line.strip() for line in lines if line.strip()]


def _search(folder: Path, output: Path) -> list[Path]:
    """Return all videos below, in order of their names; a folder with images and no video is one, with all below.

    Each folder is searched once, whatever links lead to it; those that only links lead to come last.
    """
    videos: list[Path] = []
    seen = {os.path.realpath(output)} - {os.path.realpath(folder)}
    waiting = [folder]
    while waiting:
        for parent, folders, files in os.walk(waiting.pop(0)):
            here, real = Path(parent), os.path.realpath(parent)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            suffixes = {Path(name).suffix.lower() for name in files if not name.startswith(".")}
            if suffixes & IMAGE_SUFFIXES and not suffixes & VIDEO_SUFFIXES:  # beside videos they are covers
                videos.append(here)
                folders.clear()
                continue
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            waiting += [here / name for name in folders if (here / name).is_symlink()]
            videos += [
                here / name
                for name in sorted(files)
                if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith(".")
            ]
    return videos

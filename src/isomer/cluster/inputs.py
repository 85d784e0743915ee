"""From what the user names to the videos of a batch, each with its place in the output folder."""

from __future__ import annotations

import glob
import json
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from isomer.errors import InputError
from isomer.files import local_path
from isomer.media import OUTPUTS
from isomer.media.image import IMAGE_SUFFIXES

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "flv", "ivf", "m2ts", "m4v", "mkv", "mov", "mp4"),
        *("mpeg", "mpg", "mts", "mxf", "ogv", "ts", "webm", "wmv", "y4m"),
    )
)
"""What counts as a video inside a folder; a file that is named itself may have any suffix."""


MANIFEST = "manifest.json"
"""Name of the file in the folder of a batch that tells of each video; see `isomer.cluster.manifest`."""


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

    Outputs of an earlier run that lie in such a folder, beside their video or as a manifest in it says, are left out,
    and a warning says so.

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
    """Return all videos below, in order of their names; a folder with images and no video is one, with all below."""
    videos: list[Path] = []
    left_out: list[Path] = []
    listed: set[Path] = set()
    for here, folders, files in _walk(folder, output):
        listed |= _outputs_listed(here / MANIFEST)
        suffixes = {Path(name).suffix.lower() for name in files if not name.startswith(".")}
        if suffixes & IMAGE_SUFFIXES and not suffixes & VIDEO_SUFFIXES:  # beside videos they are covers
            (left_out if here in listed else videos).append(here)
            folders.clear()
            continue
        files = [name for name in sorted(files) if Path(name).suffix.lower() in VIDEO_SUFFIXES and name[0] != "."]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and (here / name) != output)
        earlier = _outputs_among([*files, *folders])
        left_out += [here / name for name in (*files, *folders) if name in earlier]
        videos += [here / name for name in files if name not in earlier]
        folders[:] = [name for name in folders if name not in earlier]
    left_out += [video for video in videos if video in listed]
    if left_out:
        warnings.warn(f"{folder}: left out {len(left_out)} earlier outputs, such as {left_out[0].name}", stacklevel=2)
    return [video for video in videos if video not in listed]


def _walk(folder: Path, output: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield each folder with the names of the folders in it, of which the caller may take some out, and of the files.

    A folder comes once, whatever links lead to it; those to which only links lead come last.
    """
    seen = {os.path.realpath(output)} - {os.path.realpath(folder)}
    waiting = [folder]
    while waiting:
        for parent, folders, files in os.walk(waiting.pop(0)):
            here, real = Path(parent), os.path.realpath(parent)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            yield here, folders, files
            waiting += [here / name for name in folders if (here / name).is_symlink()]


def _outputs_listed(manifest: Path) -> set[Path]:
    """Return the outputs that the manifest of a batch tells of; none where there is no such file."""
    try:
        videos = json.loads(manifest.read_text(encoding="utf-8"))["videos"]
        return {Path(output) for record in videos.values() for output in record["outputs"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()


def _outputs_among(names: Sequence[str]) -> set[str]:
    """Return which names of one folder are those that outputs of others get."""
    stems = {Path(name).stem for name in names} | set(names)  # of files and folders
    suffixes = [output.suffix for output in OUTPUTS.values()]
    return {name for name in names for suffix in suffixes if name.endswith(suffix) and name[: -len(suffix)] in stems}

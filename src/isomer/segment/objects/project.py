"""A project: what was found in a video, or given, which of its objects are left, and what a person has corrected.

It is two files side by side. `clip.isomer.json` is small and meant to be read and edited; docs/objects.md has its
schema. `clip.isomer.zip` beside it keeps what was found: `maps/00000.png`, 255 times the probability at the size of the
network, and `objects/00000.png`, the number of the object at each point of a coarser grid, for each frame in order.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import ArgumentError, InputError, brief, reason
from isomer.files import Stage, said_of
from isomer.media import Frame, FrameSource, open_frames
from isomer.media.convert import with_pictures
from isomer.media.folder import DEFAULT_FPS
from isomer.media.image import check_image_suffix, decode_gray, encode_image, write_image
from isomer.media.masks import open_masks
from isomer.options import Options, VideoOptions, options_of
from isomer.progress import Progress
from isomer.segment.door import TakenFrames
from isomer.segment.objects.corrections import Correction, corrected
from isomer.segment.objects.passes import follow_objects
from isomer.segment.objects.sheet import contact_sheet
from isomer.segment.objects.tracker import with_steps
from isomer.segment.objects.video_objects import (
    Follower,
    FoundObject,
    FrameMaps,
    Moment,
    VideoObjects,
    grid_of,
    objects_in,
)
from isomer.segment.segmenter import Segmenter
from isomer.segment.spool import Spool, as_levels

SUFFIX = ".isomer.json"
_VERSION = 1
_SAMPLE = 2**16  # bytes at the start and the end of a video by which it is known
# What runs the network says nothing of what it finds, and edges are found anew.
_NOT_FINDING = ("backend", "device", "batch", "ahead", "edges")
_FINDING = (*(name for name in options_of(Options) if name not in _NOT_FINDING), "stride")


@dataclass(frozen=True)
class Project:
    """What a project's file says.

    Attributes:
        video: path of the video or folder, from the project's folder.
        size: width and height of its frames.
        sample: SHA-256 of the start and the end of the file, or of the names in a folder, by which it is known.
        threshold: probability from which on a pixel is of an object, unless another is given.
        stride: every so many-th frame was taken.
        moments: of the frames that were taken.
        objects: that were found.
        keep: the objects that are left, unless others are given; see `VideoOptions.keep`.
        drop: the objects that are left out.
        corrections: in the order they were made.
    """

    video: str
    size: tuple[int, int]
    sample: str
    threshold: float
    stride: int
    moments: tuple[Moment, ...]
    objects: tuple[FoundObject, ...]
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = field(default=())

    def completed(self, options: VideoOptions) -> VideoOptions:
        """Return options with what the project says where nothing else is given."""
        if not (options.keep or options.drop):
            options = replace(options, keep=self.keep, drop=self.drop)
        if options.threshold == VideoOptions.threshold:
            options = replace(options, threshold=self.threshold)
        return replace(options, stride=self.stride)

    def text(self) -> str:
        """Return the file's content."""
        said = {"isomer_project": _VERSION, **asdict(self)}
        said["moments"] = [[moment.index, moment.time] for moment in self.moments]
        lines = (f"  {json.dumps(key)}: {_lines(value)}" for key, value in said.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"


def is_project(path: str | Path) -> bool:
    """Whether a path is named as a project."""
    return Path(path).name.endswith(SUFFIX)


def read_project(path: str | Path) -> Project:
    """Read a project's file.

    Raises:
        InputError: it cannot be read, or is no project of this version.
    """
    path = Path(path)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({brief(error)}); give a project that isomer objects -o wrote") from error
    if not isinstance(said, dict) or said.pop("isomer_project", None) != _VERSION:
        raise InputError(f"{path}: no project of version {_VERSION}; make it anew by isomer objects -o")
    try:
        return _parsed(said)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else brief(error)
        raise InputError(f"{path}: not as a project is ({what}); mend it, or make it anew") from error


def write_project(path: str | Path, project: Project) -> None:
    """Write a project's file, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    path = Path(path)
    with Stage() as stage, said_of(path):
        stage.file(path).write_text(project.text(), encoding="utf-8")


def correct(path: str | Path, corrections: Sequence[Correction] = (), *, undo: bool = False) -> Project:
    """Add corrections to a project, or take the last one back.

    Args:
        path: of the project.
        corrections: what a person says of frames.
        undo: remove the last correction first.

    Returns:
        The project as it is now.

    Raises:
        InputError: there is nothing to undo, a frame is not in the project, or the file cannot be read or written.
        ArgumentError: there is no such object, and the number is not that of the next new one.
    """
    project = read_project(path)
    if undo and not project.corrections:
        raise InputError(f"{path}: has no correction to undo")
    frames = {moment.index for moment in project.moments}
    for one in corrections:
        if one.frame not in frames:
            raise InputError(f"{path}: frame {one.frame} is not in it; choose one of {min(frames)} to {max(frames)}")
    kept = project.corrections[:-1] if undo else project.corrections
    project = replace(project, corrections=kept)
    for one in corrections:
        if one.number is not None:
            _check_number(one.number, project)
        project = replace(project, corrections=(*project.corrections, one))
    write_project(path, project)
    return project


def _check_number(number: int, project: Project) -> None:
    """Refuse a number that no object has, but for the next one: that of a new object."""
    numbers = [one.number for one in project.corrections]
    known = {*(one.number for one in project.objects), *numbers} - {None}
    last = max((one for one in known if one is not None), default=0)
    free = last + 1 + numbers.count(None)  # each of these may have made one
    if number not in known and not last < number <= free:
        raise ArgumentError("object", number, f"no such object; the last is {last}, and {last + 1} makes a new one")


class OpenProject:
    """A project with its video and what is kept of it; a context manager.

    Args:
        path: of the project.
        options: how the video is read.
        deep: whether outputs need all bits of its colours.

    Attributes:
        project: what its file says.
        source: of the video.
        objects: of the video, with its corrections.

    Raises:
        InputError: a file of it is missing, the video is another than that it was made of, or an option asks to find
            something else.
    """

    def __init__(self, path: str | Path, options: VideoOptions, *, deep: bool = False) -> None:
        path = Path(path)
        self.project = read_project(path)
        _refuse_finding(options, self.project, _FINDING)
        video = path.parent / self.project.video
        self.source = open_frames(video, options.max_pixels, audio=options.audio, deep=deep)
        if self.source.size != self.project.size or _sample(video) != self.project.sample:
            raise InputError(f"{video}: another video than {path.name} is of; put that back, or make the project anew")
        self._path = path
        self._resources = ExitStack()

    def __enter__(self) -> OpenProject:
        kept = kept_path(self._path)
        try:
            self._archive = self._resources.enter_context(zipfile.ZipFile(kept))
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{kept}: cannot be read ({reason(error)}); make the project anew") from error
        self.objects = VideoObjects(self.project.objects, self.project.moments, self._pictures("objects"))
        return self

    def __exit__(self, *error: Any) -> None:
        self._resources.close()

    def maps(self) -> FrameMaps:
        """Return the maps as they were found, corrected: 255 times the probability.

        `objects` then have what the corrections have changed.
        """
        project = self.project
        maps: FrameMaps = self._pictures("maps")
        if project.corrections:
            maps, self.objects = corrected(self.frames(), maps, self.objects, project.corrections, project.threshold)
        return maps

    def frames(self) -> Iterator[Frame]:
        """Yield the frames that were taken.

        Raises:
            InputError: the video has more or fewer; that shows on the way.
        """
        expected, count = len(self.project.moments), 0
        for count, frame in enumerate(TakenFrames(self.source, self.project.stride), start=1):
            if count <= expected:
                yield frame
        if count != expected:
            kept = f"{self._path.name} has {expected} moments"
            raise InputError(f"{self.source.path}: has {count} frames, {kept}; put that video back, or make it anew")

    def _pictures(self, kind: str) -> KeptPictures:
        return KeptPictures(self._archive, kind, len(self.project.moments))


class KeptPictures:
    """One kind of what a project keeps of its frames, read when it is asked for.

    Args:
        archive: has them; it stays open.
        kind: `maps` or `objects`.
        count: of the frames.
    """

    def __init__(self, archive: zipfile.ZipFile, kind: str, count: int) -> None:
        self._archive, self._kind, self._count = archive, kind, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, position: int, /) -> NDArray[np.uint8]:
        name = entry_name(self._kind, position)
        try:
            return decode_gray(self._archive.read(name), name)
        except (KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{self._archive.filename}: lacks {name}; make the project anew") from error

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self[position] for position in range(len(self)))


def list_objects(
    video: str | Path,
    options: VideoOptions,
    out: str | Path | None = None,
    sheet: str | Path | None = None,
    *,
    progress: bool = False,
) -> Sequence[FoundObject]:
    """Find the objects of a video, or read those of a project.

    Args:
        video: a video file, a folder of images, or a project.
        options: how it is segmented; of a project, as it was.
        out: the project to write, `<name>.isomer.json`; none by default.
        sheet: the PNG of a contact sheet to write; none by default.
        progress: show a bar on standard error.

    Raises:
        InputError: the video or an option is no good, a project is to be made of a project, or something cannot be
            written.
    """
    if out is not None and not is_project(out):
        raise InputError(f"{out}: a project's name ends in {SUFFIX}; choose another")
    if sheet is not None:
        check_image_suffix(sheet)
    if is_project(video):
        if out is not None:
            raise InputError(f"{video}: a project already; copy its two files to keep another")
        with OpenProject(video, options) as opened:
            _refuse_finding(options, opened.project, ("threshold",))
            opened.maps()  # so that what a person has added is among the objects
            if sheet is not None:
                write_image(sheet, contact_sheet(opened.objects, opened.frames()))
            return opened.objects.found
    source = open_frames(video, options.max_pixels)
    with Stage() as stage, Follower(options.threshold) as follower, Spool(np.uint8) as maps:
        frames = TakenFrames(source, options.stride)
        total = None if source.count is None else -(-source.count // options.stride)
        with Progress(total, "frame", shown=progress) as bar:
            follow_objects(Segmenter(**options.of(Options)), frames, maps, follower, bar.step)
        objects = follower.objects()
        if out is not None:
            make_project(Path(out), stage, source, _path_from(Path(out).parent, source.path), options, objects, maps)
        if sheet is not None:
            write_image(sheet, contact_sheet(objects, TakenFrames(source, options.stride)))
        return objects.found


def keep_masks(
    masks: str | Path, video: str | Path, out: str | Path, options: VideoOptions, fps: Fraction = DEFAULT_FPS
) -> int:
    """Make a project of finished masks, such as what was corrected in another tool.

    Objects have the numbers that the masks give them; where these tell none apart, they are followed.

    Args:
        masks: see `isomer.media.masks.open_masks`.
        video: the video or folder of images that they are of, all its frames.
        out: the project, `<name>.isomer.json`.
        options: the threshold of levels that are not black or white.
        fps: frame rate of masks that state none.

    Returns:
        The number of frames.

    Raises:
        InputError: the masks or the video are no good, or not of each other, or the project cannot be written.
    """
    source = open_frames(video, options.max_pixels)
    finished = open_masks(masks, fps, options.max_pixels)
    with Stage() as stage, Follower(options.threshold) as follower, Spool(np.uint8) as maps, Spool(np.uint8) as labels:
        for result, step in with_steps(with_pictures(finished, source)):
            maps.append(as_levels(result.probability))
            follower.add(result, result.probability, step)
            if result.labels is not None:
                height, width = grid_of(result)
                small = cv2.resize(result.labels, (width, height), interpolation=cv2.INTER_NEAREST)
                labels.append(small.astype(np.uint8))
        objects = follower.objects()
        if len(labels) == len(maps):
            objects = VideoObjects(objects_in(labels, objects.moments), objects.moments, labels)
        make_project(Path(out), stage, source, _path_from(Path(out).parent, source.path), options, objects, maps)
        return len(maps)


def kept_path(project: Path) -> Path:
    """Return where a project keeps what was found."""
    return project.with_name(project.name.removesuffix(".json") + ".zip")


def _refuse_finding(options: VideoOptions, project: Project, names: Sequence[str]) -> None:
    """Refuse options that ask to find what a project has, unless as it was found."""
    asked, default = options.of(VideoOptions), VideoOptions().of(VideoOptions)
    for name in names:
        if asked[name] not in (default[name], getattr(project, name, None)):
            raise ArgumentError(name, asked[name], "a project has what was found; leave it out, or make that anew")


def make_project(
    path: Path,
    stage: Stage,
    source: FrameSource,
    video: str,
    options: VideoOptions,
    objects: VideoObjects,
    maps: FrameMaps,
) -> None:
    """Write both files of a project.

    Args:
        path: of the project.
        stage: where they are written.
        source: of the video.
        video: its path, from the project's folder.
        options: how objects were found, and which are left.
        objects: that were found.
        maps: 255 times the probability, uint8 [h, w], one a frame.

    Raises:
        InputError: they cannot be written.
    """
    project = Project(
        video=video,
        size=source.size,
        sample=_sample(source.path),
        threshold=options.threshold,
        stride=options.stride,
        moments=tuple(objects.moments),
        objects=tuple(objects.found),
        keep=tuple(options.keep),
        drop=tuple(options.drop),
    )
    with said_of(path):
        stage.file(path).write_text(project.text(), encoding="utf-8")
        with zipfile.ZipFile(stage.file(kept_path(path)), "w", zipfile.ZIP_STORED) as archive:
            for position, (levels, labels) in enumerate(zip(maps, objects.labels, strict=True)):
                archive.writestr(entry_name("maps", position), encode_image(levels))
                archive.writestr(entry_name("objects", position), encode_image(labels))


def entry_name(kind: str, position: int) -> str:
    """Return the name, in the archive, of what is kept of a frame."""
    return f"{kind}/{position:05d}.png"


def _path_from(folder: Path, video: Path) -> str:
    """Return the path of a video from a folder; where it is not below that, from the root."""
    video, folder = video.resolve(), folder.resolve()
    return str(video.relative_to(folder)) if video.is_relative_to(folder) else str(video)


def _sample(video: Path) -> str:
    """Return by what a video is known again, without reading all of it."""
    digest = hashlib.sha256()
    if video.is_dir():
        digest.update("\n".join(sorted(file.name for file in video.iterdir())).encode())
    else:
        with video.open("rb") as file:
            digest.update(file.read(_SAMPLE))
            end = file.seek(0, 2)
            digest.update(str(end).encode())
            file.seek(max(0, end - _SAMPLE))
            digest.update(file.read())
    return digest.hexdigest()


def _parsed(said: dict[str, Any]) -> Project:
    """Make a project of what its file says; KeyError, TypeError and ValueError say what is wrong."""
    unknown = said.keys() - {one.name for one in fields(Project)}
    if unknown:
        raise ValueError(f"has {', '.join(sorted(unknown))}, which is unknown")
    options = VideoOptions(
        threshold=float(said["threshold"]), stride=int(said["stride"]), keep=said["keep"], drop=said["drop"]
    )
    if len(said["moments"]) < 2:
        raise ValueError("has fewer than two moments")
    width, height = said["size"]
    return Project(
        video=str(said["video"]),
        size=(int(width), int(height)),
        sample=str(said["sample"]),
        threshold=options.threshold,
        stride=options.stride,
        moments=tuple(Moment(int(index), float(time)) for index, time in said["moments"]),
        objects=tuple(found_object(one) for one in said["objects"]),
        keep=tuple(options.keep),
        drop=tuple(options.drop),
        corrections=tuple(Correction.of(one) for one in said["corrections"]),
    )


def found_object(said: dict[str, Any]) -> FoundObject:
    """Make an object of JSON; KeyError, TypeError and ValueError say what is wrong."""
    if said["number"] not in range(1, 256):
        raise ValueError("an object's number is not between 1 and 255")
    spans = tuple((int(first), int(last)) for first, last in said["spans"])
    x, y, width, height = map(float, said["box"])
    return FoundObject(**{**said, "spans": spans, "box": (x, y, width, height)})


def _lines(value: Any) -> str:
    """Write objects and corrections a line each, and all else on one."""
    if isinstance(value, tuple | list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"    {json.dumps(one)}" for one in value) + "\n  ]"
    return json.dumps(value)

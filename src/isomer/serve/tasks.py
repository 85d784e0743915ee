"""What the worker processes do with a client's media: check it, segment it, write a result of it.

The server process itself never parses media. A job's folder holds

    video or frames/   what was uploaded
    maps.zip           what was found, and beside it what is known of objects and corrections; see `isomer.serve.kept`
    preview.mp4        each frame above its map, for the page
    times.json         of the frames, in seconds
    results/           what was asked for, each named by its options: `masks-0.50.zip`, `composite-0.50-blur.mp4`

Every task takes a `report(done, total)` for its progress, in frames; total is None where it is not known.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from isomer.errors import InputError
from isomer.files import Stage, atomic_path
from isomer.options import Options, VideoOptions
from isomer.serve.jobs import SCRATCH
from isomer.serve.options import Limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from isomer.media import Frame, FrameSource
    from isomer.segment import Segmenter
    from isomer.segment.objects.video_objects import FrameMaps, VideoObjects
    from isomer.serve.kept import Kept, Said

Report = Callable[[int, "int | None"], None]

CONTAINERS = "asf,avi,flv,matroska,mov,mpeg,mpegts,ogg"
"""Demuxers of FFmpeg that uploads may use: each whole in its file. `isomer.media` itself takes a few more."""

PREVIEW, OBJECTS, PROJECT = "preview", "objects", "project"
"""Kinds of result besides `isomer.media.OUTPUTS`."""

EXAMPLE_SIZE, EXAMPLE_FRAMES = (854, 480), 72


@dataclass(frozen=True)
class Finished:
    """What is known of a job once it is done.

    Attributes:
        frames: number of frames.
        width, height: of every frame, in pixels.
        fps: frames per second.
        warning: what was wrong with the video, if it could be segmented all the same.
    """

    frames: int
    width: int
    height: int
    fps: float
    warning: str | None


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a job that is done.

    Attributes:
        kind: of `isomer.media.OUTPUTS`, or of those above.
        options: how it is written.
        corrections: that clients have made; see `isomer.serve.kept`.
        name: of the video, as the client calls it.
    """

    kind: str
    options: VideoOptions
    corrections: Sequence[Said]
    name: str


def load(options: VideoOptions, report: Report) -> None:
    """Load the model, so that a bad option is known at the start and the first job does not wait.

    Raises:
        InputError: no such model or device.
    """
    _segmenter(options)


def check(folder: Path, limits: Limits, report: Report) -> None:
    """Refuse an upload by its header alone, before any frame is decoded.

    Raises:
        InputError: not a video or images that can be read, or beyond the limits.
    """
    with _relative_to(folder):
        if (folder / "video").exists():
            _check_header(folder / "video", limits)
        _check_count(_open(folder, limits), limits)


def segment(folder: Path, options: VideoOptions, limits: Limits, report: Report) -> Finished:
    """Segment what was uploaded: write its `maps.zip`, its `preview.mp4` and its `times.json`.

    Raises:
        InputError: as `check`, or a limit is met on the way; nothing is left written.
    """
    from isomer.media import open_output
    from isomer.segment.objects.video_objects import Moment
    from isomer.segment.spool import as_levels
    from isomer.serve.kept import keep_maps
    from isomer.serve.preview import at_preview_size, preview_output

    with _relative_to(folder), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = _open(folder, limits)
        _check_count(source, limits)
        total = source.count and min(source.count, limits.frames)
        report(0, total)
        frames = _Bounded(source, limits.frames)
        times = []
        with (
            keep_maps(folder) as maps,
            open_output(preview_output(source), folder / "preview.mp4", source) as writer,
            closing(_segmenter(options).find(frames, steps=False)) as results,
        ):
            for found in results:
                levels = as_levels(found.probability)
                maps.add(Moment(found.frame.index, found.frame.time), levels)
                writer.write(at_preview_size(found.frame, source, levels, VideoOptions.edges))
                times.append(found.frame.time)
                report(len(times), total)
        (folder / "times.json").write_text(json.dumps({"times": times}), encoding="utf-8")
    width, height = source.size
    warning = next((str(w.message) for w in caught if issubclass(w.category, UserWarning)), None)
    return Finished(len(times), width, height, float(source.fps), warning)


def write_result(folder: Path, wanted: Wanted, path: Path, limits: Limits, most: int, report: Report) -> None:
    """Write one result of what is kept; a folder becomes a zip.

    Raises:
        InputError: the result cannot be written.
        OSError: ENOSPC, for this or because it takes more than `most` bytes.
    """
    from isomer.serve.kept import Kept

    with (
        _relative_to(folder),
        tempfile.TemporaryDirectory(dir=folder, prefix=SCRATCH) as scratch,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # the job said it already
        source = _open(folder, limits, audio=wanted.options.audio, deep=_is_deep(wanted.kind))
        room = _Room(Path(scratch), most, raw_bytes(wanted.kind) * source.size[0] * source.size[1])
        target = Path(scratch) / path.name
        with Kept(folder, source, wanted.options.threshold) as kept:
            if wanted.kind == OBJECTS:
                _write_objects(kept, wanted, target)
            elif wanted.kind == PREVIEW:
                _write_preview(kept, source, wanted, target)
            elif wanted.kind == PROJECT:
                _write_project(kept, source, wanted, target)
            else:
                _write_output(kept, source, wanted, target, room, report)
        room.check()  # encoders keep frames back until the end
        path.parent.mkdir(exist_ok=True)
        target.replace(path)


def raw_bytes(kind: str) -> int:
    """Return the bytes of a pixel of a result, uncompressed: colours and alpha."""
    return 8 if _is_deep(kind) else 4


def draw_example(path: Path, report: Report) -> None:
    """Draw a video to try: a scene in motion, always the same."""
    import numpy as np

    from isomer.data.synthetic.clip import SceneFrames, write_clip
    from isomer.data.synthetic.drawn import draw_scene

    write_clip(SceneFrames(draw_scene(np.random.default_rng(0), EXAMPLE_SIZE), EXAMPLE_FRAMES), path, None)


def _is_deep(kind: str) -> bool:
    from isomer.media import OUTPUTS

    return kind in OUTPUTS and OUTPUTS[kind].is_deep


def _write_output(kept: Kept, source: FrameSource, wanted: Wanted, path: Path, room: _Room, report: Report) -> None:
    """Write one kind of `isomer.media.OUTPUTS`."""
    from isomer.media import OUTPUTS, Look, open_output
    from isomer.segment.objects.passes import write_objects

    def frames() -> Iterator[Frame]:
        for done, frame in enumerate(source):
            if done:
                room.take()
                report(done, source.count)
            yield frame

    output = OUTPUTS[wanted.kind]
    target = path.with_name("pngs") if output.is_folder else path
    maps, objects = _corrected(kept, wanted)
    with open_output(output, target, source, Look.asked_for(wanted.options, source)) as writer:
        write_objects(frames(), maps, objects, [writer], wanted.options)
    if output.is_folder:
        _zip(target, path)


def _corrected(kept: Kept, wanted: Wanted) -> tuple[FrameMaps, VideoObjects | None]:
    """Return the maps and, where they are needed, the objects of a job, as they are corrected."""
    if wanted.corrections:
        return kept.corrected(wanted.corrections)
    return kept.found, kept.objects() if wanted.options.follows_objects else None


def _write_objects(kept: Kept, wanted: Wanted, path: Path) -> None:
    """Write the list of the objects, each with a thumbnail, as JSON."""
    from isomer.media.image import encode_image
    from isomer.segment.objects.sheet import thumbnails

    _, objects = kept.corrected(wanted.corrections)
    drawn = thumbnails(objects, kept.preview.frames({one.clearest for one in objects.found}))
    listed = []
    for one in objects.found:
        image = base64.b64encode(encode_image(drawn[one.number], ".jpg")).decode()
        listed.append(asdict(one) | {"thumbnail": f"data:image/jpeg;base64,{image}"})
    path.write_text(json.dumps({"objects": listed}), encoding="utf-8")


def _write_preview(kept: Kept, source: FrameSource, wanted: Wanted, path: Path) -> None:
    """Write the preview with other maps where they are others."""
    import numpy as np

    from isomer.segment.objects.corrections import ChangedMaps
    from isomer.segment.spool import as_levels, from_levels

    maps, objects = _corrected(kept, wanted)
    options = wanted.options
    chosen = objects.chosen(options.keep, options.drop) if objects else None

    def level(position: int) -> NDArray[np.uint8]:
        if objects is None or chosen is None:
            return maps[position]
        return as_levels(objects.left(position, from_levels(maps[position]), chosen))

    changed: Collection[int] = range(len(kept.found))
    if (options.edges == "map") == (VideoOptions.edges == "map"):
        if chosen is None:
            changed = maps.others if isinstance(maps, ChangedMaps) else ()
        changed = {position for position in changed if not np.array_equal(kept.found[position], level(position))}
    kept.preview.write_changed(path, source, changed, level, options.edges)


def _write_project(kept: Kept, source: FrameSource, wanted: Wanted, path: Path) -> None:
    """Write a zip of both files of a project."""
    from isomer.segment.objects.corrections import Correction
    from isomer.segment.objects.project import SUFFIX, correct, kept_path, make_project

    if source.path.is_dir():
        raise InputError("project: is of a video; these are frames, which have no names here")
    project = path.with_name((Path(wanted.name).stem or "video") + SUFFIX)
    with Stage() as stage:
        make_project(project, stage, source, wanted.name, wanted.options, kept.objects(), kept.found)
    correct(project, [Correction.of(dict(said)) for said in wanted.corrections])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in (project, kept_path(project)):
            archive.write(file, file.name)
            file.unlink()


@lru_cache(maxsize=1)
def _segmenter(options: VideoOptions) -> Segmenter:
    from isomer.segment import Segmenter

    return Segmenter(**options.of(Options))


def _open(folder: Path, limits: Limits, **wanted: bool) -> FrameSource:
    from isomer.media import open_frames

    frames = folder / "frames"
    return open_frames(frames if frames.is_dir() else folder / "video", limits.pixels, **wanted)


def _check_header(video: Path, limits: Limits) -> None:
    from isomer.media.demux import open_container

    try:
        container = open_container(video, limits.pixels, CONTAINERS)
    except InputError as error:
        raise InputError("video: not a video that can be read; give an MP4, WebM, MOV, MKV or AVI") from error
    with container:
        for stream in container.streams.video:
            context = stream.codec_context  # None where the codec is not known, which is said when frames are asked for
            if context is not None and not 0 < context.width * context.height <= limits.pixels:
                raise InputError(
                    f"video: pictures of more than {limits.pixels} pixels (the server's limit --pixels), or without a "
                    "size; make it smaller"
                )


def _check_count(source: FrameSource, limits: Limits) -> None:
    if source.count is not None and source.count > limits.frames:
        raise InputError(
            f"{source.path}: {source.count} frames; the server takes {limits.frames} (its limit --frames), give a "
            "shorter one"
        )


class _Bounded:
    """The frames, at least 2 and not more than `most`: containers may state any number."""

    def __init__(self, source: FrameSource, most: int) -> None:
        from isomer.segment.door import TakenFrames

        self._frames = TakenFrames(source)
        self._path = source.path
        self._most = most

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            if frame.index >= self._most:
                raise InputError(
                    f"{self._path}: more than {self._most} frames (the server's limit --frames); give a shorter one"
                )
            yield frame


@contextmanager
def _relative_to(folder: Path) -> Iterator[None]:
    """Say paths in errors as the client knows them."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(f"{folder}{os.sep}", "")) from error


class _Room:
    """What a folder may grow by; it is measured only when it may be full.

    Args:
        folder: is written to.
        most: bytes it may have.
        frame: bytes it grows by with a frame, at most.
    """

    def __init__(self, folder: Path, most: int, frame: int) -> None:
        self._folder = folder
        self._most = self._left = most
        self._frame = frame

    def take(self) -> None:
        """Say that a frame was written; OSError ENOSPC where there is no room for it."""
        self._left -= self._frame
        if self._left < 0:
            self.check()

    def check(self) -> None:
        """OSError ENOSPC where the folder has more than it may have."""
        self._left = self._most - sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
        if self._left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _zip(folder: Path, path: Path) -> None:
    """Move the files of a folder into a zip; they are PNGs, which do not compress further."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.iterdir()):
            # A fixed date: the same masks give the same bytes.
            with archive.open(zipfile.ZipInfo(file.name), "w") as entry, file.open("rb") as content:
                shutil.copyfileobj(content, entry)
            file.unlink()  # so that both together take the room of one

"""What the worker processes do with a client's media: check it, segment it, write a result of it.

The server process itself never parses media. A job's folder holds

    video or frames/   what was uploaded
    probabilities/     one 8-bit PNG a frame, round(255 p)
    preview.mp4        each frame above its map, for the page
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from isomer.errors import InputError
from isomer.files import atomic_path
from isomer.options import Options, VideoOptions
from isomer.serve.options import Limits

if TYPE_CHECKING:
    from isomer.media import Frame, FrameSource, Segmented
    from isomer.segment import Segmenter

Report = Callable[[int, "int | None"], None]

CONTAINERS = "asf,avi,flv,matroska,mov,mpeg,mpegts,ogg"
"""Demuxers of FFmpeg that uploads may use: each whole in its file. `isomer.media` itself takes a few more."""

PREVIEW, OBJECTS = "preview", "objects"
"""Kinds of result for the page alone, besides `isomer.media.OUTPUTS`."""

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
    """Segment what was uploaded: write its `probabilities` and its `preview.mp4`.

    Raises:
        InputError: as `check`, or a limit is met on the way; nothing is left written.
    """
    from isomer.media import OUTPUTS, open_outputs
    from isomer.segment.video import segment_frames
    from isomer.serve.preview import preview_output

    with _relative_to(folder), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = _open(folder, limits)
        _check_count(source, limits)
        total = source.count and min(source.count, limits.frames)
        report(0, total)
        frames = _Bounded(source, limits.frames)
        outputs = [
            (OUTPUTS["probabilities"], folder / "probabilities"),
            (preview_output(source), folder / "preview.mp4"),
        ]
        with open_outputs(outputs, source) as writers:
            done = segment_frames(_segmenter(options), frames, writers, written=lambda done: report(done, total))
    width, height = source.size
    warning = next((str(w.message) for w in caught if issubclass(w.category, UserWarning)), None)
    return Finished(done, width, height, float(source.fps), warning)


def write_result(
    folder: Path, kind: str, options: VideoOptions, path: Path, limits: Limits, most: int, report: Report
) -> None:
    """Write one kind of `isomer.media.OUTPUTS`, or of those above, from the stored maps; a folder becomes a zip.

    Raises:
        InputError: the result cannot be written.
        OSError: ENOSPC, for this or because it takes more than `most` bytes.
    """
    from isomer import media
    from isomer.segment.objects.video_objects import track_objects
    from isomer.serve.preview import preview_output

    if kind == OBJECTS:
        _write_objects(folder, options, path, limits, report)
        return
    with _relative_to(folder), tempfile.TemporaryDirectory(dir=folder) as scratch:
        source = _open(folder, limits, audio=options.audio, deep=_is_deep(kind))
        output = preview_output(source) if kind == PREVIEW else media.OUTPUTS[kind]
        look = media.Look.asked_for(options, source)
        target = Path(scratch) / ("pngs" if output.is_folder else path.name)
        room = _Room(Path(scratch), most, raw_bytes(kind) * source.size[0] * source.size[1])
        with media.open_output(output, target, source, look) as writer, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the job said it already
            stored = _Stored(source, folder / "probabilities", limits.pixels)
            told = track_objects(stored, options.threshold, options.keep, options.drop)
            for result in told if options.follows_objects else stored:
                writer.write(result if options.objects else replace(result, labels=None))
                room.take()
                report(result.index + 1, source.count)
        room.check()  # encoders keep frames back until the end
        if output.is_folder:
            _zip(target, path)
        else:
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


def _write_objects(folder: Path, options: VideoOptions, path: Path, limits: Limits, report: Report) -> None:
    """Write the list of the objects, each with a thumbnail, as JSON."""
    from isomer.media.image import encode_image
    from isomer.segment.objects.sheet import thumbnails
    from isomer.segment.objects.tracker import with_steps
    from isomer.segment.objects.video_objects import Follower

    with _relative_to(folder), Follower(options.threshold) as follower:
        source = _open(folder, limits)
        stored = _Stored(source, folder / "probabilities", limits.pixels)
        for result, step in with_steps(stored):
            follower.add(result, result.probability, step)
            report(result.index + 1, source.count)
        objects = follower.objects()
        drawn = thumbnails(objects, source)
    listed = []
    for one in objects.found:
        image = base64.b64encode(encode_image(drawn[one.number], ".jpg")).decode()
        listed.append(asdict(one) | {"thumbnail": f"data:image/jpeg;base64,{image}"})
    path.parent.mkdir(exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"objects": listed}), encoding="utf-8")


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


class _Stored:
    """The results of a job, as often as they are gone through."""

    def __init__(self, source: FrameSource, folder: Path, max_pixels: int) -> None:
        self._source, self._folder, self._max_pixels = source, folder, max_pixels

    def __iter__(self) -> Iterator[Segmented]:
        import numpy as np

        from isomer.media import Segmented
        from isomer.media.image import read_gray

        for frame in self._source:
            levels = read_gray(self._folder / f"{frame.name}.png", self._max_pixels)
            yield Segmented.of(frame, np.divide(levels, 255, dtype=np.float32))


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

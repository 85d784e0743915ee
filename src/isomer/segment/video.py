"""The one call that does the job: a video in, masks, overlays and cut-outs out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from isomer.errors import ArgumentError
from isomer.flow import FlowEstimator
from isomer.media import Frame, Look, Writer, find_output, open_frames, open_outputs, output_paths
from isomer.media.outputs import warn_of_idle
from isomer.options import Options, VideoOptions, documented
from isomer.progress import Progress
from isomer.segment.door import TakenFrames
from isomer.segment.objects.passes import follow_objects, warn_of_nothing, write_objects
from isomer.segment.objects.project import OpenProject, is_project
from isomer.segment.objects.video_objects import Follower
from isomer.segment.segmenter import Segmenter
from isomer.segment.spool import Spool

if TYPE_CHECKING:
    from isomer.model.network import Isomer


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """What was done.

    Attributes:
        outputs: the files and folders written, in the order they were asked for.
        frames: frames segmented.
        seconds: wall-clock time from the first frame read to the last output closed.
    """

    outputs: tuple[Path, ...]
    frames: int
    seconds: float


@documented(VideoOptions)
def segment_video(  # noqa: D417 (`documented` adds the options)
    video: str | Path,
    output: str | Path | None = None,
    *,
    outputs: Sequence[str] = VideoOptions.outputs,
    quality: str = VideoOptions.quality,
    model: str | Path | Isomer | None = VideoOptions.model,
    size: int | None = VideoOptions.size,
    backend: str = VideoOptions.backend,
    device: str = VideoOptions.device,
    flow: str | FlowEstimator | None = VideoOptions.flow,
    max_step: int = VideoOptions.max_step,
    key_interval: int | None = VideoOptions.key_interval,
    views: int | None = VideoOptions.views,
    smoothing: float | None = VideoOptions.smoothing,
    passes: int | None = VideoOptions.passes,
    precision: str | None = VideoOptions.precision,
    edges: str = VideoOptions.edges,
    batch: int = VideoOptions.batch,
    ahead: int = VideoOptions.ahead,
    threshold: float = VideoOptions.threshold,
    fill_holes: bool = VideoOptions.fill_holes,
    min_area: int = VideoOptions.min_area,
    grow: int = VideoOptions.grow,
    shrink: int = VideoOptions.shrink,
    feather: float = VideoOptions.feather,
    stride: int = VideoOptions.stride,
    objects: bool = VideoOptions.objects,
    keep: Sequence[str] = VideoOptions.keep,
    drop: Sequence[str] = VideoOptions.drop,
    background: str | Path = VideoOptions.background,
    fit: str = VideoOptions.fit,
    premultiplied: bool = VideoOptions.premultiplied,
    audio: bool = VideoOptions.audio,
    max_pixels: int = VideoOptions.max_pixels,
    progress: bool = False,
) -> Summary:
    """Segment the primary object of a video and write what is asked for: kinds of `isomer.media.OUTPUTS`.

    Args:
        video: a video file, a folder of images in the order of their names, or a project (see
            `isomer.segment.objects.project`), of which the network need not run again.
        output: where to write. With one kind of output, its file or its folder of images; with several, or
            with one that is a file where a folder of this name exists, the folder for all of them. By default
            they go next to the video.
        options: see `isomer.options.VideoOptions`, a keyword each.
        progress: show a bar on standard error; where that is no terminal, a line every ten seconds.

    Raises:
        InputError: the video, the output or an option is no good; nothing is left written.
    """
    if not isinstance(video, (str, Path)):
        raise ArgumentError("video", type(video).__name__, "not a path; isomer.Segmenter takes frames")
    options = VideoOptions(
        quality=quality,
        model=model,
        size=size,
        backend=backend,
        device=device,
        flow=flow,
        max_step=max_step,
        key_interval=key_interval,
        views=views,
        smoothing=smoothing,
        passes=passes,
        precision=precision,
        edges=edges,
        batch=batch,
        ahead=ahead,
        outputs=outputs,
        threshold=threshold,
        fill_holes=fill_holes,
        min_area=min_area,
        grow=grow,
        shrink=shrink,
        feather=feather,
        stride=stride,
        objects=objects,
        keep=keep,
        drop=drop,
        background=background,
        fit=fit,
        premultiplied=premultiplied,
        audio=audio,
        max_pixels=max_pixels,
    )
    if is_project(video):
        return _write_project(video, output, options)
    kinds = [find_output(kind) for kind in dict.fromkeys(outputs)]
    warn_of_idle(options, kinds)
    source = open_frames(video, max_pixels, audio=audio, deep=any(kind.is_deep for kind in kinds))
    _log.debug("%s: %d x %d pixels, %s frames, %.5g a second", source.path, *source.size, source.count, source.fps)
    paths = output_paths(source, output, kinds)
    frames = TakenFrames(source, stride)

    with ExitStack() as stack:
        writers = stack.enter_context(
            open_outputs(zip(kinds, paths, strict=True), source, Look.asked_for(options, source))
        )
        segmenter = Segmenter(**options.of(Options))
        start = time.perf_counter()
        total = None if source.count is None else -(-source.count // stride)
        bar = stack.enter_context(Progress(total, "frame", shown=progress))
        count = segment_taken(segmenter, frames, writers, options, done=bar.step)
    return Summary(paths, count, time.perf_counter() - start)


def segment_taken(
    segmenter: Segmenter,
    frames: TakenFrames,
    writers: Collection[Writer],
    options: VideoOptions,
    done: Callable[[], object] = lambda: None,
) -> int:
    """Give the result of every frame that is taken to every writer, with its objects where these are asked for.

    Args:
        segmenter: finds the results.
        frames: of the video; where objects are followed they are iterated over twice.
        writers: of its outputs; they stay open.
        options: which objects are left, and how they are written.
        done: is called after each frame that the network is done with.

    Returns:
        The number of frames.

    Raises:
        ArgumentError: there is no such object.
    """
    if not options.follows_objects:
        return segment_frames(segmenter, frames, writers, threshold=options.threshold, written=lambda _: done())
    with Follower(options.threshold) as follower, Spool(np.uint8) as maps:
        follow_objects(segmenter, frames, maps, follower, done)
        return write_objects(frames, maps, follower.objects(), writers, options)


def _write_project(path: str | Path, output: str | Path | None, options: VideoOptions) -> Summary:
    """Write the outputs of a project."""
    with ExitStack() as stack:
        kinds = [find_output(kind) for kind in dict.fromkeys(options.outputs)]
        warn_of_idle(options, kinds)
        opened = stack.enter_context(OpenProject(path, options, deep=any(kind.is_deep for kind in kinds)))
        options = opened.project.completed(options)
        paths = output_paths(opened.source, output, kinds)
        outputs = zip(kinds, paths, strict=True)
        writers = stack.enter_context(open_outputs(outputs, opened.source, Look.asked_for(options, opened.source)))
        start = time.perf_counter()
        maps = opened.maps()
        count = write_objects(opened.frames(), maps, opened.objects, writers, options)
    return Summary(paths, count, time.perf_counter() - start)


def segment_frames(
    segmenter: Segmenter,
    frames: Iterable[Frame],
    writers: Collection[Writer],
    *,
    threshold: float | None = None,
    written: Callable[[int], object] = lambda done: None,
) -> int:
    """Give the result of every frame to every writer.

    Args:
        segmenter: finds the results.
        frames: of one video, in order.
        writers: of its outputs; they stay open.
        threshold: of the masks; if no probability reaches it in any frame, a warning says so.
        written: is called after each frame with the number of those that are written.

    Returns:
        The number of frames.
    """
    count, highest = 0, 0.0
    with closing(segmenter(frames)) as results:
        for result in results:
            for writer in writers:
                writer.write(result)
            highest = max(highest, float(result.probability.max()))
            count += 1
            del result  # what is large is not held until the next is there
            written(count)
    if threshold is not None and highest < threshold:
        warn_of_nothing()
    return count

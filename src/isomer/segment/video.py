"""The one call that does the job: a video in, masks, overlays and cut-outs out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isomer.errors import ArgumentError, InputError
from isomer.flow import FlowEstimator
from isomer.media import Frame, FrameSource, Look, Output, Writer, find_output, open_frames, open_outputs
from isomer.options import Options, VideoOptions, documented
from isomer.progress import Progress
from isomer.segment.segmenter import Found, Segmenter
from isomer.segment.spool import Spool
from isomer.segment.whole import Follower, VideoObjects

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
    batch: int = VideoOptions.batch,
    ahead: int = VideoOptions.ahead,
    threshold: float = VideoOptions.threshold,
    stride: int = VideoOptions.stride,
    objects: bool = VideoOptions.objects,
    keep: Sequence[str] = VideoOptions.keep,
    drop: Sequence[str] = VideoOptions.drop,
    max_pixels: int = VideoOptions.max_pixels,
    progress: bool = False,
) -> Summary:
    """Segment the primary object of a video and write what is asked for: kinds of `isomer.media.OUTPUTS`.

    Args:
        video: a video file, or a folder of images in the order of their names.
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
        batch=batch,
        ahead=ahead,
        outputs=outputs,
        threshold=threshold,
        stride=stride,
        objects=objects,
        keep=keep,
        drop=drop,
        max_pixels=max_pixels,
    )
    source = open_frames(video, max_pixels)
    _log.debug("%s: %d x %d pixels, %s frames, %.5g a second", source.path, *source.size, source.count, source.fps)
    kinds = [find_output(kind) for kind in dict.fromkeys(outputs)]
    paths = output_paths(source, output, kinds)

    with ExitStack() as stack:
        writers = stack.enter_context(open_outputs(zip(kinds, paths, strict=True), source, Look(threshold)))
        segmenter = Segmenter(**options.of(Options))
        start = time.perf_counter()
        total = None if source.count is None else -(-source.count // stride)
        bar = stack.enter_context(Progress(total, "frame", shown=progress))
        count = segment_source(segmenter, source, writers, options, done=bar.step)
    return Summary(paths, count, time.perf_counter() - start)


def segment_source(
    segmenter: Segmenter,
    source: FrameSource,
    writers: Collection[Writer],
    options: VideoOptions,
    done: Callable[[], object] = lambda: None,
) -> int:
    """Give the result of every frame that is taken to every writer, with its objects where these are asked for.

    Args:
        segmenter: finds the results.
        source: of the video.
        writers: of its outputs; they stay open.
        options: which frames are taken, and which objects are left.
        done: is called after each frame that the network is done with.

    Returns:
        The number of frames.

    Raises:
        ArgumentError: there is no such object.
    """
    frames = taken_frames(source, options.stride)
    if not options.follows_objects:
        return segment_frames(segmenter, frames, writers, written=lambda _: done())
    with Follower(options.threshold) as follower, Spool(np.uint8) as maps:
        follow_objects(segmenter, frames, maps, follower, done)
        again = taken_frames(source, options.stride)
        return write_objects(segmenter, again, maps, follower.objects(), writers, options)


def follow_objects(
    segmenter: Segmenter,
    frames: Iterable[Frame],
    maps: Spool[np.uint8],
    follower: Follower,
    done: Callable[[], object] = lambda: None,
) -> None:
    """Find the maps of a video, and follow its objects.

    Args:
        segmenter: finds the maps.
        frames: of the video.
        maps: get 255 times the probability, uint8 [h, w], one a frame.
        follower: of its objects.
        done: is called after each frame.
    """
    with closing(segmenter.find(frames)) as results:
        for found in results:
            levels = as_levels(found.probability)
            maps.append(levels)
            follower.add(found.frame, from_levels(levels), found.step)
            done()


def write_objects(
    segmenter: Segmenter,
    frames: Iterable[Frame],
    maps: Iterable[NDArray[np.uint8]],
    objects: VideoObjects,
    writers: Collection[Writer],
    options: VideoOptions,
) -> int:
    """Give the frames of a video whose objects are known to every writer.

    Args:
        segmenter: brings maps to the size of their frames.
        frames: of the video, those in which the objects were followed.
        maps: 255 times the probability, uint8 [h, w] of any size, one a frame.
        objects: of the video.
        writers: of its outputs; they stay open.
        options: which objects are left.

    Returns:
        The number of frames.

    Raises:
        ArgumentError: there is no such object.
    """
    chosen = objects.chosen(options.keep, options.drop)

    def again() -> Iterator[Found]:
        for position, (frame, levels) in enumerate(zip(frames, maps, strict=True)):
            yield Found(frame, objects.left(position, from_levels(levels), chosen), None)

    count = 0
    for result in objects.labelled(segmenter.show(again()), chosen):
        for writer in writers:
            writer.write(result if options.objects else replace(result, labels=None))
        count += 1
    return count


def as_levels(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a map as it is kept: 255 times the probability."""
    return np.rint(probability * 255).astype(np.uint8)


def from_levels(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the map that was kept, float32 in [0, 1]."""
    return np.divide(levels, 255, dtype=np.float32)


def segment_frames(
    segmenter: Segmenter,
    frames: Iterable[Frame],
    writers: Collection[Writer],
    *,
    written: Callable[[int], object] = lambda done: None,
) -> int:
    """Give the result of every frame to every writer.

    Args:
        segmenter: finds the results.
        frames: of one video, in order.
        writers: of its outputs; they stay open.
        written: is called after each frame with the number of those that are written.

    Returns:
        The number of frames.
    """
    count = 0
    with closing(segmenter(frames)) as results:
        for result in results:
            for writer in writers:
                writer.write(result)
            count += 1
            written(count)
    return count


def taken_frames(source: FrameSource, stride: int = 1) -> Iterator[Frame]:
    """Return every `stride`-th frame of a source, each for the time until the next; the first two are read at once.

    Raises:
        InputError: there is only one; motion needs two.
    """
    frames = _every(stride, iter(source))
    first = list(islice(frames, 2))
    if len(first) < 2:
        taken = "" if stride == 1 else f" at a stride of {stride}"
        raise InputError(f"{source.path}: has only one frame{taken}; motion needs at least two")
    return chain(first, frames)


def _every(stride: int, frames: Iterator[Frame]) -> Iterator[Frame]:
    for frame in frames:
        passed = sum(skipped.duration for skipped in islice(frames, stride - 1))
        yield replace(frame, duration=frame.duration + passed)


def output_paths(source: FrameSource, output: str | Path | None, kinds: Sequence[Output]) -> tuple[Path, ...]:
    """Return where each kind of output goes; for `output` see `segment_video`."""
    defaults = [kind.default_path(source) for kind in kinds]
    if output is None:
        return tuple(defaults)
    output = Path(output)
    if len(kinds) == 1 and (kinds[0].is_folder or not output.is_dir()):
        return (output,)
    return tuple(output / path.name for path in defaults)

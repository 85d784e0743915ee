"""The one call that does the job: a video in, masks, overlays and cut-outs out."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from isomer.errors import ArgumentError, InputError
from isomer.flow import FlowEstimator
from isomer.media import Frame, FrameSource, Look, Writer, find_output, open_frames, open_outputs, output_paths
from isomer.options import Options, VideoOptions, documented
from isomer.progress import Progress
from isomer.segment.segmenter import Segmenter

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
    background: str | Path = VideoOptions.background,
    fit: str = VideoOptions.fit,
    audio: bool = VideoOptions.audio,
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
        background=background,
        fit=fit,
        audio=audio,
        max_pixels=max_pixels,
    )
    kinds = [find_output(kind) for kind in dict.fromkeys(outputs)]
    source = open_frames(video, max_pixels, audio=audio, deep=any(kind.is_deep for kind in kinds))
    _log.debug("%s: %d x %d pixels, %s frames, %.5g a second", source.path, *source.size, source.count, source.fps)
    paths = output_paths(source, output, kinds)
    frames = taken_frames(source, stride)

    with ExitStack() as stack:
        writers = stack.enter_context(open_outputs(zip(kinds, paths, strict=True), source, Look.of(options, source)))
        segmenter = Segmenter(**options.of(Options))
        start = time.perf_counter()
        total = None if source.count is None else -(-source.count // stride)
        bar = stack.enter_context(Progress(total, "frame", shown=progress))
        count = segment_frames(
            segmenter,
            frames,
            writers,
            threshold=threshold,
            objects=threshold if objects else None,
            written=lambda done: bar.step(),
        )
    return Summary(paths, count, time.perf_counter() - start)


def segment_frames(
    segmenter: Segmenter,
    frames: Iterable[Frame],
    writers: Collection[Writer],
    *,
    threshold: float | None = None,
    objects: float | None = None,
    written: Callable[[int], object] = lambda done: None,
) -> int:
    """Give the result of every frame to every writer: the one way from a segmenter to outputs.

    Args:
        segmenter: finds the results.
        frames: of one video, in order.
        writers: of its outputs; they stay open.
        threshold: of the masks; if no probability reaches it in any frame, a warning says so.
        objects: threshold from which on objects are told apart; without, they are not.
        written: is called after each frame with the number of those that are written.

    Returns:
        The number of frames.
    """
    count, highest = 0, 0.0
    with closing(segmenter(frames, objects)) as results:
        for result in results:
            for writer in writers:
                writer.write(result)
            highest = max(highest, float(result.probability.max()))
            count += 1
            written(count)
    if threshold is not None and highest < threshold:
        warn_of_nothing()
    return count


def warn_of_nothing() -> None:
    """Warn that all masks of a video are empty."""
    warnings.warn("nothing was found in any frame; a lower threshold may find more", stacklevel=3)


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

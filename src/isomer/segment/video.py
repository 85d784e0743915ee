"""The one call that does the job: a video in, masks, overlays and cut-outs out."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from isomer.errors import InputError
from isomer.flow import FlowEstimator
from isomer.media import Frame, FrameSource, Look, Output, Writer, find_output, open_frames, open_outputs
from isomer.segment.segmenter import Segmenter

if TYPE_CHECKING:
    from isomer.model.network import Isomer


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


def segment_video(
    video: str | Path,
    output: str | Path | None = None,
    *,
    outputs: Sequence[str] = ("overlay",),
    model: str | Path | Isomer = "isomer_mobilenet_v2",
    size: int = 384,
    backend: str = "auto",
    device: str = "auto",
    flow: FlowEstimator | None = None,
    threshold: float = 0.5,
    stride: int = 1,
    max_step: int = 4,
    key_interval: int = 6,
    views: int = 1,
    smoothing: float = 1.0,
    batch: int = 1,
    objects: bool = False,
    progress: bool = False,
) -> Summary:
    """Segment the primary object of a video and write what is asked for.

    Args:
        video: a video file, or a folder of images in the order of their names.
        output: where to write. With one kind of output, its file or its folder of images; with several, or
            with one that is a file where a folder of this name exists, the folder for all of them. By default
            they go next to the video.
        outputs: kinds, the keys of `isomer.media.OUTPUTS`.
        model: a model's name, a checkpoint's path, or a network.
        size: the network sees a frame at about `size` x `size` pixels, its aspect kept.
        backend: what runs the network, one of `isomer.runtime.BACKENDS`; `auto` says its choice in the log.
        device: a torch device, or `auto`.
        flow: estimates the motion; DIS by default.
        threshold: probability from which on a pixel is of the object, in (0, 1).
        stride: take every `stride`-th frame only.
        max_step: the largest temporal step of the flow, in frames taken; 1 for flow computed beforehand.
        key_interval: the most frames from one that the network sees to the next; maps between are interpolated along
            the flow. 1 shows it every frame.
        views: how often the network sees a frame, mirrored and with the flow from behind: 1, 2 or 4.
        smoothing: weight of the maps of both neighbouring key frames in that of a key frame; see `Segmenter`.
        batch: key frames that go through the network together, which pays on a GPU.
        objects: tell objects apart, each with a number that stays its own over time, in the outputs that can
            hold several: overlays, previews, `palette`, `coco`, `youtube-vis` and `polygons`.
        progress: show a bar on standard error.

    Raises:
        InputError: the video, the output or an option is no good; nothing is left written.
    """
    if not 0 < threshold < 1:
        raise InputError(f"--threshold {threshold}: not between 0 and 1; 0.5 is the default")
    if stride < 1:
        raise InputError(f"--stride {stride}: not positive; 1 takes every frame")
    source = open_frames(video)
    kinds = [find_output(kind) for kind in dict.fromkeys(outputs)]
    paths = _output_paths(source, output, kinds)
    frames = taken_frames(source, stride)

    with ExitStack() as stack:
        writers = stack.enter_context(open_outputs(zip(kinds, paths, strict=True), source, Look(threshold)))
        segmenter = Segmenter(
            model,
            size=size,
            backend=backend,
            device=device,
            flow=flow,
            max_step=max_step,
            key_interval=key_interval,
            views=views,
            smoothing=smoothing,
            batch=batch,
        )
        start = time.perf_counter()
        total = None if source.count is None else -(-source.count // stride)
        bar = stack.enter_context(tqdm(total=total, unit="frame", disable=not progress, leave=False))
        count = segment_frames(
            segmenter, frames, writers, objects=threshold if objects else None, written=lambda done: bar.update()
        )
    return Summary(paths, count, time.perf_counter() - start)


def segment_frames(
    segmenter: Segmenter,
    frames: Iterable[Frame],
    writers: Collection[Writer],
    *,
    objects: float | None = None,
    written: Callable[[int], object] = lambda done: None,
) -> int:
    """Give the result of every frame to every writer: the one way from a segmenter to outputs.

    Args:
        segmenter: finds the results.
        frames: of one video, in order.
        writers: of its outputs; they stay open.
        objects: threshold from which on objects are told apart; without, they are not.
        written: is called after each frame with the number of those that are written.

    Returns:
        The number of frames.
    """
    count = 0
    with closing(segmenter(frames, objects)) as results:
        for result in results:
            for writer in writers:
                writer.write(result)
            count += 1
            written(count)
    return count


def taken_frames(source: FrameSource, stride: int = 1) -> Iterator[Frame]:
    """Return every `stride`-th frame of a source, of which the first two are read at once.

    Raises:
        InputError: there is only one; motion needs two.
    """
    frames = islice(source, 0, None, stride)
    first = list(islice(frames, 2))
    if len(first) < 2:
        taken = "" if stride == 1 else f" with --stride {stride}"
        raise InputError(f"{source.path}: has only one frame{taken}; motion needs at least two")
    return chain(first, frames)


def _output_paths(source: FrameSource, output: str | Path | None, kinds: Sequence[Output]) -> tuple[Path, ...]:
    if not kinds:
        raise InputError("no output asked for; name at least one, such as overlay")
    defaults = [kind.default_path(source) for kind in kinds]
    if output is None:
        return tuple(defaults)
    output = Path(output)
    if len(kinds) == 1 and (kinds[0].is_folder or not output.is_dir()):
        return (output,)
    return tuple(output / path.name for path in defaults)

"""From one format of finished masks to others."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from isomer.errors import ArgumentError, InputError
from isomer.media.folder import DEFAULT_FPS
from isomer.media.frame import FrameSource
from isomer.media.masks import MaskSource, open_masks
from isomer.media.outputs import find_output, open_outputs, output_paths, warn_of_idle
from isomer.media.pictures import Look
from isomer.media.reader import open_frames
from isomer.media.segmented import Segmented
from isomer.options import Adjustments, VideoOptions

_KINDS = {
    "": "masks",
    ".gif": "gif",
    ".json": "youtube-vis",
    ".mkv": "mask",
    ".mov": "prores",
    ".mp4": "mask",
    ".webm": "cutout",
    ".webp": "webp",
    ".xml": "cvat",
    ".zip": "zip",
}


class Converted(NamedTuple):
    """What was done.

    Attributes:
        outputs: the files and folders written, in the order they were asked for.
        frames: the number of frames.
    """

    outputs: tuple[Path, ...]
    frames: int


def convert_masks(
    masks: str | Path,
    output: str | Path | None = None,
    *,
    outputs: Sequence[str] = (),
    video: str | Path | None = None,
    fps: Fraction = DEFAULT_FPS,
    adjustments: Adjustments = Adjustments(),  # noqa: B008 (it cannot change)
    background: str | Path = VideoOptions.background,
    fit: str = VideoOptions.fit,
    premultiplied: bool = VideoOptions.premultiplied,
    audio: bool = VideoOptions.audio,
    max_pixels: int = VideoOptions.max_pixels,
) -> Converted:
    """Write masks in other formats.

    Args:
        masks: see `isomer.media.masks.open_masks`.
        output: where to write, see `isomer.media.output_paths`; by default beside the video or else the masks.
        outputs: kinds, keys of `OUTPUTS`; by default the one that the suffix of `output` says.
        video: the frames' pictures, a video or a folder, for overlays and cut-outs. Its time stamps, names and sound
            are the outputs'.
        fps: frame rate where neither masks nor video state one.
        adjustments: of what is written; the threshold is that of levels that are not black or white.
        background: of composites; see `isomer.options.VideoOptions`.
        fit: of the background; see there.
        premultiplied: whether the colours of cut-outs are multiplied with their opacity; see there.
        audio: keep the sound of `video` in videos.
        max_pixels: the most that a frame of the masks, the video or the background may have.

    Raises:
        InputError: the input, an output or an option is no good; nothing is left written.
    """
    options = VideoOptions(
        **vars(adjustments),
        background=background,
        fit=fit,
        premultiplied=premultiplied,
        audio=audio,
        max_pixels=max_pixels,
    )
    if fps <= 0:
        raise ArgumentError("fps", fps, f"not positive; {DEFAULT_FPS} is the default")
    names = list(dict.fromkeys(outputs)) or [_kind_by_suffix(output)]
    kinds = [find_output(name) for name in names]
    for name, kind in zip(names, kinds, strict=True):
        if kind.shows_video and video is None:
            raise InputError(f"{name}: shows the pictures too; give the video as well")
    warn_of_idle(options, kinds)
    source = open_masks(masks, fps, max_pixels)
    is_deep = any(kind.is_deep for kind in kinds)
    pictures = None if video is None else open_frames(video, max_pixels, audio=audio, deep=is_deep)
    paths = output_paths(pictures or source, output, kinds)
    for path in paths:
        if path.resolve() == Path(masks).resolve():
            raise InputError(f"{path}: is the input itself; choose another output")
    results = iter(source) if pictures is None else with_pictures(source, pictures)
    count, highest = 0, 0.0
    look = Look.asked_for(options, pictures or source)
    with open_outputs(zip(kinds, paths, strict=True), pictures or source, look) as writers:
        for result in results:
            for writer in writers:
                writer.write(result)
            highest = max(highest, float(result.probability.max()))
            count += 1
    if 0 < highest < look.threshold:
        warnings.warn(
            f"{source.path}: no level reaches the threshold, all is background; "
            f"the highest is {highest * 255:.0f} of 255, give a threshold below {highest:.3f}",
            stacklevel=2,
        )
    return Converted(paths, count)


def _kind_by_suffix(output: str | Path | None) -> str:
    if output is None:
        raise InputError("nothing says what to write; name an output or kinds of output")
    kind = _KINDS.get(Path(output).suffix.lower())
    if kind is None:
        raise InputError(f"{output}: its suffix names no format; name the kind of output")
    return kind


def with_pictures(masks: MaskSource, video: FrameSource) -> Iterator[Segmented]:
    """Yield the frames of a video with their masks.

    Raises:
        InputError: they are not of one size, or not as many.
    """
    width, height = video.size
    if masks.size not in (video.size, (width + width % 2, height + height % 2)):  # mask videos have even sides
        of_masks, of_frames = (f"{width}x{height}" for width, height in (masks.size, video.size))
        raise InputError(f"{masks.path}: {of_masks} but the video is {of_frames}; give masks of its size")
    try:
        for frame, mask in zip(video, masks, strict=True):
            labels = None if mask.labels is None else mask.labels[:height, :width]
            yield Segmented.of(frame, mask.probability[:height, :width], labels)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{masks.path}: not as many masks as {video.path} has frames; add or cut") from error

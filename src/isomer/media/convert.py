"""From one format of finished masks to another."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from isomer.errors import ArgumentError, InputError
from isomer.media.folder import DEFAULT_FPS
from isomer.media.frame import FrameSource
from isomer.media.masks import MaskSource, open_masks
from isomer.media.outputs import find_output, open_output
from isomer.media.pictures import DEFAULT_LOOK
from isomer.media.reader import open_frames
from isomer.media.segmented import Segmented
from isomer.options import Look

_KINDS = {
    "": "masks",
    ".gif": "gif",
    ".json": "youtube-vis",
    ".mkv": "mask",
    ".mov": "prores",
    ".mp4": "mask",
    ".webm": "cutout",
    ".webp": "webp",
    ".zip": "zip",
}


def convert_masks(
    masks: str | Path,
    output: str | Path,
    kind: str | None = None,
    *,
    video: str | Path | None = None,
    fps: Fraction = DEFAULT_FPS,
    look: Look = DEFAULT_LOOK,
) -> int:
    """Write masks in another format.

    Args:
        masks: see `isomer.media.masks.open_masks`.
        output: the file or folder to write.
        kind: a key of `OUTPUTS`; by default what the suffix of `output` says.
        video: the frames' pictures, a video or a folder, for overlays and cut-outs. Its time stamps and names
            are the output's.
        fps: frame rate where neither masks nor video state one.
        look: of what is written; its threshold is that of levels that are not black or white.

    Returns:
        The number of frames.

    Raises:
        InputError: the input, the output or an option is no good; nothing is left written.
    """
    output = Path(output)
    if kind is None:
        kind = _KINDS.get(output.suffix.lower())
        if kind is None:
            raise InputError(f"{output}: its suffix names no format; name the kind of output")
    if fps <= 0:
        raise ArgumentError("fps", fps, f"not positive; {DEFAULT_FPS} is the default")
    made = find_output(kind)
    if made.shows_video and video is None:
        raise InputError(f"{output}: {kind} shows the pictures too; give the video as well")
    if output.resolve() == Path(masks).resolve():
        raise InputError(f"{output}: is the input itself; choose another output")
    source = open_masks(masks, fps)
    pictures = None if video is None else open_frames(video)
    results = iter(source) if pictures is None else _with_pictures(source, pictures)
    count, highest = 0, 0.0
    with open_output(made, output, pictures or source, look) as writer:
        for result in results:
            writer.write(result)
            highest = max(highest, float(result.probability.max()))
            count += 1
    if 0 < highest < look.threshold:
        warnings.warn(
            f"{source.path}: no level reaches the threshold, all is background; "
            f"the highest is {highest * 255:.0f} of 255, give a threshold below {highest:.3f}",
            stacklevel=2,
        )
    return count


def _with_pictures(masks: MaskSource, video: FrameSource) -> Iterator[Segmented]:
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

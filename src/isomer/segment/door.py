"""What comes in as the frames of a video, checked before anything relies on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isomer.errors import ArgumentError, InputError
from isomer.media import Frame, FrameSource

_WANTED = "pass RGB images, uint8 [H, W, 3]"
# By the kind of the type: "f" for floating point, "u" for unsigned, of which uint16 is the common one.
_TO_UINT8 = {
    "f": "(255 * image).round().astype(np.uint8) where 1 is white",
    "u": "(image // 257).astype(np.uint8) where 65535 is white",
}


def as_frames(frames: Iterable[Frame | NDArray[np.uint8]]) -> Iterator[Frame]:
    """Return the frames, images among them numbered in order; what cannot be frames at all is refused at once.

    Every image is copied, so that the caller may fill one array again and again.

    Raises:
        InputError: they are no RGB images, of different sizes or fewer than two, also when that is found on the way.
    """
    if isinstance(frames, (str, Path)):
        raise ArgumentError("frames", frames, "a path; pass isomer.media.open_frames of it, or call segment_video")
    if isinstance(frames, np.ndarray) and frames.ndim != 4:
        raise InputError(f"frames: an array {_shape(frames)}; pass several images, uint8 [N, H, W, 3]")
    try:
        return _checked(iter(frames))
    except TypeError:
        raise InputError(f"frames: an object of type {type(frames).__name__}; {_WANTED}") from None


def _checked(frames: Iterator[Frame | NDArray[np.uint8]]) -> Iterator[Frame]:
    size = None
    count = 0
    for given in frames:
        name = f"frames[{count}]"
        image: object = given.image if isinstance(given, Frame) else given
        if not isinstance(image, np.ndarray):
            raise InputError(f"{name}: an object of type {type(image).__name__}; {_WANTED}, such as np.asarray(image)")
        if problem := _problem(image):
            raise InputError(f"{name}: {problem}")
        if size is not None and image.shape != size:
            raise InputError(f"{name}: {_shape(image)}, but those before [{size[0]}, {size[1]}, 3]; pass one size")
        size = image.shape
        own = np.array(image, np.uint8, order="C")
        if isinstance(given, Frame):
            frame = replace(given, image=own)
        else:
            frame = Frame(count, own, float(count), f"{count:05d}")
        count += 1
        del given, image  # which the caller need not hold any longer, and large frames fill the memory
        yield frame
    if count < 2:
        raise InputError(f"frames: {'only one' if count else 'none'}; motion needs at least two")


def _problem(image: NDArray[np.generic]) -> str:
    """Say what an image has that an RGB image has not, and how to make it one."""
    if image.ndim == 2 or image.shape[2:] == (1,):
        return f"gray, {_shape(image)}; {_WANTED}, such as np.dstack([image] * 3)"
    if image.shape[2:] == (4,):
        return f"four channels, {_shape(image)}; {_WANTED}, such as image[..., :3]"
    if image.ndim == 3 and image.shape[0] == 3 != image.shape[2]:
        return f"channels first, {_shape(image)}; {_WANTED}, such as image.transpose(1, 2, 0)"
    if image.shape[2:] != (3,) or not image.size:
        return f"an array {_shape(image)}; {_WANTED}"
    if image.dtype == np.uint8:
        return ""
    return f"{image.dtype}; {_WANTED}, such as {_TO_UINT8.get(image.dtype.kind, 'image.astype(np.uint8)')}"


def _shape(image: NDArray[np.generic]) -> str:
    return f"[{', '.join(map(str, image.shape))}]"


class TakenFrames:
    """Every `stride`-th frame of a source, each for the time until the next; each iteration streams them anew.

    The first two are read at once.

    Raises:
        InputError: there is only one; motion needs two.
    """

    def __init__(self, source: FrameSource, stride: int = 1):
        self._source, self._stride = source, stride
        frames = self._anew()
        first = list(islice(frames, 2))
        if len(first) < 2:
            taken = "" if stride == 1 else f" at a stride of {stride}"
            raise InputError(f"{source.path}: has only one frame{taken}; motion needs at least two")
        self._begun: Iterator[Frame] | None = chained(first, frames)

    def __iter__(self) -> Iterator[Frame]:
        begun, self._begun = self._begun, None
        return begun or self._anew()

    def _anew(self) -> Iterator[Frame]:
        return _every(self._stride, iter(self._source))


def chained(first: list[Frame], frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield the frames of a list, which is emptied, then others, which are closed with these; none is held any longer.

    Large frames fill the memory, and `itertools.chain` holds what it has been given to its end.
    """
    first.reverse()
    while first:
        yield first.pop()
    yield from frames


def _every(stride: int, frames: Iterator[Frame]) -> Iterator[Frame]:
    for frame in frames:
        passed = sum(skipped.duration for skipped in islice(frames, stride - 1))
        yield replace(frame, duration=frame.duration + passed)

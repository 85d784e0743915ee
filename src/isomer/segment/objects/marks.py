"""Corrections as they are typed: a mark, and where in time it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from isomer.choice import Time, parse_point, parse_time
from isomer.errors import ArgumentError, InputError
from isomer.media.image import read_gray
from isomer.media.rle import encode_rle
from isomer.options import VideoOptions
from isomer.segment.objects.corrections import Correction
from isomer.segment.objects.video_objects import Moment, position_of


def corrections_of(
    moments: Sequence[Moment],
    *,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    box: Sequence[str] = (),
    mask: Sequence[str] = (),
    number: int | None = None,
    max_pixels: int = VideoOptions.max_pixels,
) -> list[Correction]:
    """Make a correction of all that is said of a frame, in the order of the frames.

    Args:
        moments: of the frames there are.
        add: points that are of the object, such as `0.4,0.5@3.2s`.
        remove: points that are not.
        box: boxes beyond which it does not reach, x, y, width and height, such as `0.1,0.2,0.3,0.4@80`.
        mask: images that are white on the object, such as `painted.png@80`.
        number: of the object; None for the nearest.
        max_pixels: the most that a mask may have.

    Raises:
        ArgumentError: a mark is no good.
        InputError: a mask cannot be read.
    """
    if number is not None and not 1 <= number <= 255:
        raise ArgumentError("object", number, "not an object's number, which is between 1 and 255")
    said: defaultdict[int, dict[str, Any]] = defaultdict(dict)

    def place(time: Time) -> dict[str, Any]:
        return said[moments[position_of(moments, time)].index]

    for argument, texts in (("add", add), ("remove", remove)):
        for text in texts:
            try:
                point = parse_point(text)
                place(point.time).setdefault(argument, []).append((point.x, point.y))
            except ValueError as error:
                raise ArgumentError(argument, text, str(error)) from None
    for argument, texts in (("box", box), ("mask", mask)):
        for text in texts:
            what, _, when = text.rpartition("@")
            try:
                at = place(parse_time(when))
                if argument in at:
                    raise ValueError(f"a second {argument} in a frame; give one")
                at[argument] = encode_rle(_painted(what, max_pixels)) if argument == "mask" else _four(what)
                Correction.of({"frame": 0, argument: at[argument]})
            except InputError:
                raise
            except ValueError as error:
                raise ArgumentError(argument, text, str(error)) from None
    return [Correction.of({"frame": frame, "number": number, **marks}) for frame, marks in sorted(said.items())]


def _painted(path: str, max_pixels: int) -> Any:
    return read_gray(path, max_pixels) // 128


def _four(text: str) -> tuple[float, ...]:
    try:
        x, y, width, height = map(float, text.split(","))
    except ValueError:
        raise ValueError("not a box and its time such as 0.1,0.2,0.3,0.4@3.2s") from None
    return x, y, width, height

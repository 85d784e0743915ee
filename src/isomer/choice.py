"""Which objects of a video are meant: by number, by a point and a time, or by a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Rule = Literal["largest", "longest", "centre", "all"]


@dataclass(frozen=True)
class Time:
    """A time in a video.

    Attributes:
        value: seconds from the start, or the index of a frame.
        is_index: which of both it is.
    """

    value: float
    is_index: bool


@dataclass(frozen=True)
class PointAt:
    """A point of a frame.

    Attributes:
        x: from the left, as a share of the frame's width, in [0, 1].
        y: from the top, as a share of the height, in [0, 1].
        time: of the frame.
    """

    x: float
    y: float
    time: Time


Pick = int | PointAt | Rule
"""An object's number, where and when it is seen, or the rule it is found by."""


def parse_pick(text: str) -> Pick:
    """Understand `2`, `0.42,0.55@3.2s` (at 3.2 seconds), `0.42,0.55@80` (in frame 80) or a rule's name.

    Raises:
        ValueError: it is something else; the message says what.
    """
    if text in get_args(Rule):
        return text  # type: ignore[return-value]
    if "@" in text:
        return parse_point(text)
    if not (text.isascii() and text.isdigit()):
        *rules, last = get_args(Rule)
        raise ValueError(f"not a number, a point and its time such as 0.42,0.55@3.2s, {', '.join(rules)} or {last}")
    if not 1 <= int(text) <= 255:
        raise ValueError("not an object's number, which is between 1 and 255")
    return int(text)


def parse_point(text: str) -> PointAt:
    """Understand a point and its time alone; see `parse_pick`.

    Raises:
        ValueError: it is something else; the message says what.
    """
    place, _, time = text.rpartition("@")
    try:
        x, y = map(float, place.split(","))
    except ValueError:
        raise ValueError("not a point and its time such as 0.42,0.55@3.2s, or @80 for frame 80") from None
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise ValueError("a point outside the frame; x and y are shares of it, between 0 and 1")
    return PointAt(x, y, parse_time(time))


def parse_time(text: str) -> Time:
    """Understand `3.2s` or a frame's index.

    Raises:
        ValueError: it is something else; the message says what.
    """
    is_index = not text.endswith("s")
    try:
        value = int(text) if is_index else float(text[:-1])
    except ValueError:
        raise ValueError("no time after the @ such as 3.2s, or 80 for frame 80") from None
    if not 0 <= value < float("inf"):
        raise ValueError("a time before the start")
    return Time(value, is_index)

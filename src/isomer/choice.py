"""Which objects of a video are meant: by number, by a point and a time, or by a rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Rule = Literal["largest", "longest", "centre", "all"]

_POINT = re.compile(r"(?P<x>[^,@]+),(?P<y>[^,@]+)@(?P<time>[^,@]+?)(?P<unit>s?)")


@dataclass(frozen=True)
class PointAt:
    """The object at a point of a frame.

    Attributes:
        x: from the left, as a share of the frame's width, in [0, 1].
        y: from the top, as a share of the height, in [0, 1].
        time: of the frame, in seconds, or its index where that is whole and `in_frames`.
        in_frames: what the time is.
    """

    x: float
    y: float
    time: float
    in_frames: bool = False


Pick = int | PointAt | Rule
"""An object's number, where and when it is seen, or the rule it is found by."""


def parse_pick(text: str) -> Pick:
    """Understand `2`, `0.42,0.55@3.2s` (at 3.2 seconds), `0.42,0.55@80` (in frame 80) or a rule's name.

    Raises:
        ValueError: it is something else; the message says what.
    """
    if text in get_args(Rule):
        return text  # type: ignore[return-value]
    if text.isascii() and text.isdigit():
        if 1 <= int(text) <= 255:
            return int(text)
        raise ValueError("not an object's number, which is between 1 and 255")
    if not _POINT.fullmatch(text):
        rules = ", ".join(get_args(Rule))
        raise ValueError(f"neither a number, a point and its time such as 0.42,0.55@3.2s, nor {rules}")
    return parse_point(text)


def parse_point(text: str) -> PointAt:
    """Understand a point and its time alone; see `parse_pick`.

    Raises:
        ValueError: it is something else; the message says what.
    """
    match = _POINT.fullmatch(text)
    try:
        if not match:
            raise ValueError
        in_frames = not match["unit"]
        time = int(match["time"]) if in_frames else float(match["time"])
        x, y = float(match["x"]), float(match["y"])
    except ValueError:
        raise ValueError("not a point and its time such as 0.42,0.55@3.2s, or @80 for frame 80") from None
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise ValueError("a point outside the frame; x and y are shares of it, between 0 and 1")
    if not 0 <= time < float("inf"):
        raise ValueError("a time before the start")
    return PointAt(x, y, time, in_frames)

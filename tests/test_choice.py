"""How objects, points and times are said."""

from __future__ import annotations

import pytest

from isomer.choice import PointAt, Time, parse_pick, parse_time


@pytest.mark.parametrize(
    ("text", "pick"),
    [
        ("1", 1),
        ("255", 255),
        ("0.42,0.55@3.2s", PointAt(0.42, 0.55, Time(3.2, is_index=False))),
        ("0,1@80", PointAt(0, 1, Time(80, is_index=True))),
        ("largest", "largest"),
        ("centre", "centre"),
    ],
)
def test_what_can_be_picked(text: str, pick: object) -> None:
    assert parse_pick(text) == pick


@pytest.mark.parametrize(
    "text",
    ["", "0", "256", "-1", "1.5", "²", "left", "0.5@3s", "0.5,0.5,0.5@3s", "1.1,0@3s", "nan,0@3s", "0,0@s", "0,0@"],
)
def test_what_cannot(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(not|no|a) "):
        parse_pick(text)


@pytest.mark.parametrize("text", ["", "s", "3.2", "-1s", "-1", "infs", "nans", "3m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(no|a) time"):
        parse_time(text)

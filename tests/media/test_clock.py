"""Times of pictures from whatever stamps they have."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomer.media.clock import PictureClock

Stamps = tuple[int | None, int | None, int]
TICK = Fraction(1, 1000)


def read(stamps: list[Stamps]) -> list[tuple[float, float]]:
    clock = PictureClock(TICK, Fraction(25))
    readings = []
    for shown, decoded, duration in stamps:
        picture = av.VideoFrame(16, 16, "gray")
        picture.pts, picture.dts, picture.duration = shown, decoded, duration
        readings.append(clock.read(picture))
    return readings


STAMPS = st.tuples(
    st.none() | st.integers(-(2**40), 2**40), st.none() | st.integers(-(2**40), 2**40), st.integers(0, 2**20)
)


@given(st.lists(STAMPS, min_size=1, max_size=20))
def test_time_starts_at_zero_and_only_goes_on(stamps: list[Stamps]) -> None:
    readings = read(stamps)
    assert readings[0][0] == 0
    assert all(earlier < later for (earlier, _), (later, _) in pairwise(readings))
    assert all(duration > 0 for _, duration in readings)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=20), st.integers(-(10**9), 10**9))
def test_stamps_that_increase_are_the_times(steps: list[int], first: int) -> None:
    shown = first + np.cumsum([0, *steps])
    readings = read([(int(stamp), int(stamp) - 80, step) for stamp, step in zip(shown, [*steps, 1000], strict=True)])
    assert [time for time, _ in readings] == pytest.approx((shown - first) / 1000)
    assert readings[-1][1] == pytest.approx(1)


def test_without_stamps_durations_add_up() -> None:
    assert [time for time, _ in read([(None, None, 50)] * 4)] == pytest.approx([0, 0.05, 0.1, 0.15])
    assert [time for time, _ in read([(None, None, 0)] * 3)] == pytest.approx([0, 0.04, 0.08])


def test_stamps_in_the_order_of_decoding_give_way_to_those_of_decoding() -> None:
    """Pictures come in the order of showing, with the stamps of packets that came in another: 0 3 1 2 6 4 5 9 7 8."""
    shown = [40 * stamp for stamp in (0, 2, 3, 1, 5, 6, 4, 8, 9, 7)]
    times = [time for time, _ in read([(stamp, 40 * index + 120, 40) for index, stamp in enumerate(shown)])]
    assert np.diff(times[4:]) == pytest.approx(0.04)


def test_a_duration_of_one_tick_is_made_up() -> None:
    assert read([(0, 0, 1), (40, 40, 1), (80, 80, 1)])[-1][1] == pytest.approx(0.04)
    assert read([(0, 0, 1), (1, 1, 1), (2, 2, 1)])[-1][1] == pytest.approx(0.001)

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isomer.errors import ArgumentError
from isomer.segment.prefetch import prefetch

UNCLOSED = """
import time
from isomer.errors import ArgumentError
from isomer.segment.prefetch import prefetch

def numbers():
    try:
        for number in range(1000):
            time.sleep(0.01)
            yield number
    finally:
        print("closed")

def doubled(items):
    for item in items:
        yield 2 * item

stream = prefetch(doubled(prefetch(doubled(prefetch(numbers())))))
print(next(stream), next(stream))
"""


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "isomer-prefetch"]


@given(st.lists(st.integers()), st.integers(0, 3))
def test_items_come_in_order_and_no_thread_stays(items: list[int], ahead: int) -> None:
    assert list(prefetch(items, ahead)) == items
    assert workers() == []


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_works_ahead_as_far_as_asked_and_no_further(ahead: int) -> None:
    taken = []

    def source() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    stream = prefetch(source(), ahead)
    assert [next(stream) for _ in range(5)] == list(range(5))
    time.sleep(0.05)
    assert len(taken) == 5 + ahead
    stream.close()


@pytest.mark.parametrize("ahead", [0, 2])
def test_an_exception_comes_as_it_is_after_the_items_before_it(ahead: int) -> None:
    failure = LookupError("the source's own")

    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise failure

    stream = prefetch(prefetch(source(), ahead), ahead)
    assert list(islice(stream, 2)) == [1, 2]
    with pytest.raises(LookupError) as caught:
        next(stream)
    assert caught.value is failure
    assert workers() == []


@pytest.mark.parametrize("ahead", [0, 2])
def test_closing_early_ends_the_threads_and_closes_the_source(ahead: int) -> None:
    closed = []

    def source() -> Iterator[int]:
        try:
            yield from count()
        finally:
            closed.append(True)

    stream = prefetch(source(), ahead)
    next(stream)
    stream.close()
    assert closed == [True]
    assert workers() == []


def test_stages_overlap() -> None:
    """Two stages that each wait for the other's progress would never end one after the other."""
    met = threading.Barrier(2, timeout=5)

    def source() -> Iterator[int]:
        for number in range(5):
            if number:
                met.wait()
            yield number

    stream = prefetch(source(), 1)
    next(stream)
    for _ in range(4):
        met.wait()
        next(stream)
    assert list(stream) == []


@pytest.mark.parametrize("last", ["", "[1 / 0 for item in stream]"])
def test_a_stream_that_nobody_closes_ends_with_the_interpreter(last: str) -> None:
    """A failed comprehension is kept, with its stream, until the interpreter goes."""
    done = subprocess.run([sys.executable, "-c", UNCLOSED + last], capture_output=True, text=True, timeout=60)
    assert done.returncode == (1 if last else 0)
    assert done.stdout.split() == ["0", "4", "closed"]
    assert done.stderr.splitlines()[-1:] == (["ZeroDivisionError: division by zero"] if last else [])


def test_threads_that_cannot_be_started_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ArgumentError, match="ahead=2: the system starts no more threads"):
        list(prefetch(range(3)))

from __future__ import annotations

import os
import signal

import pytest

from isomer.train.interrupt import STOPS, StopRequest


@pytest.mark.parametrize("number", STOPS)
def test_the_first_signal_is_noted_and_the_next_acts_as_before(number: int) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda number, frame: heard.append(number))
    try:
        with StopRequest() as stop:
            assert not stop.made
            os.kill(os.getpid(), number)
            assert (stop.made, heard) == (True, [])
            os.kill(os.getpid(), number)
            assert heard == [number]
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.made
    finally:
        signal.signal(signal.SIGHUP, before)

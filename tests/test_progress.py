from __future__ import annotations

import io
import sys

import pytest

from isomer.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("isomer.progress.time.monotonic", lambda: now[0])
    return now


def test_where_there_is_no_terminal_a_line_comes_every_ten_seconds(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(100, "frame") as progress:
        for _ in range(100):
            clock[0] += 0.25
            progress.step()
    said = capsys.readouterr()
    assert said.err.splitlines() == ["isomer: 40 of 100 frames, 4.0 frames/s", "isomer: 80 of 100 frames, 4.0 frames/s"]
    assert said.out == ""


def test_without_a_total_none_is_said(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(None, "video") as progress:
        clock[0] += 20
        progress.step()
        progress.write("failed: broken.mp4")
    assert capsys.readouterr().err.splitlines() == ["isomer: 1 videos, 0.1 videos/s", "isomer: failed: broken.mp4"]


def test_on_a_terminal_there_is_a_bar_which_goes_at_the_end(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress(2, "frame") as progress:
        clock[0] += 60
        progress.step()
        progress.step()
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "2/2" in said or "0/2" in said
    assert "isomer:" not in said
    assert said.rpartition("\r")[2].strip() == ""


@pytest.mark.parametrize("stream", [io.StringIO, Terminal, lambda: None])
def test_nothing_is_said_if_nothing_is_wanted(
    stream: type, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it an error that there is no standard error."""
    monkeypatch.setattr(sys, "stderr", stream())
    with Progress(5, "frame", shown=False) as progress:
        clock[0] += 60
        progress.step()
    assert sys.stderr is None or sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_a_closed_standard_error_takes_no_lines(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with Progress(5, "frame") as progress:
        clock[0] += 60
        progress.step()
        progress.write("failed")
    assert capsys.readouterr().out == ""

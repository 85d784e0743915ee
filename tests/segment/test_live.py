from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from isomer.cli.main import main
from isomer.data.synthetic.clip import SceneFrames, write_clip
from isomer.data.synthetic.scene import Scene
from isomer.errors import InputError
from isomer.media import Frame, open_frames
from isomer.media.live import LiveSource, open_live


class Device:
    """Frames that the test sends."""

    path, size, fps = Path("device"), (8, 8), Fraction(25)

    def __init__(self, count: int, failure: Exception | None = None):
        self.count, self.failure = count, failure
        self.sent = threading.Semaphore(0)

    def frames(self, stopped: threading.Event) -> Iterator[Frame]:
        for index in range(self.count):
            self.sent.acquire()
            yield Frame(index, np.zeros((8, 8, 3), np.uint8), 0.0, str(index))
        if self.failure:
            raise self.failure


def until(source: LiveSource, arrived: int) -> None:
    deadline = time.monotonic() + 5
    while source.arrived < arrived:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_only_the_newest_frame_waits() -> None:
    device = Device(10)
    source = LiveSource(device)
    frames = iter(source)
    device.sent.release()
    assert next(frames).index == 0
    device.sent.release(4)
    until(source, 5)
    assert next(frames).index == 4
    device.sent.release(5)
    until(source, 10)
    assert [frame.index for frame in frames] == [9]
    assert source.arrived == 10


def test_age_counts_from_arrival() -> None:
    device = Device(1)
    device.sent.release()
    source = LiveSource(device)
    (frame,) = source
    time.sleep(0.05)
    assert 0.05 <= source.age(frame) < 5


def test_the_devices_failure_comes_out_after_its_frames() -> None:
    device = Device(1, OSError("unplugged"))
    device.sent.release()
    frames = iter(LiveSource(device))
    assert next(frames).index == 0
    with pytest.raises(OSError, match="unplugged"):
        next(frames)


def test_closing_ends_the_thread() -> None:
    device = Device(10)
    device.sent.release(10)
    frames = iter(LiveSource(device))
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert not is_watched()


def test_a_file_plays_at_its_own_pace(scene: Scene, tmp_path: Path) -> None:
    write_clip(SceneFrames(scene, 6, Fraction(20)), tmp_path / "clip.mp4")
    start = time.perf_counter()
    times = [frame.time for frame in open_live(tmp_path / "clip.mp4")]
    assert time.perf_counter() - start >= 5 / 20
    assert times == sorted(times)
    assert times[-1] >= 5 / 20 - 0.01


@pytest.fixture
def pausing(tmp_path: Path) -> Path:
    """A video that shows its second picture for a minute, and nothing new."""
    path = tmp_path / "pausing.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp in (0, 40, 60_000):
            picture = av.VideoFrame(16, 16, "yuv420p")
            picture.pts, picture.time_base = stamp, Fraction(1, 1000)
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))
    return path


def is_watched() -> bool:
    return any(thread.name == "isomer-live" for thread in threading.enumerate())


def test_a_pause_ends_with_the_time_that_was_given(pausing: Path) -> None:
    start = time.monotonic()
    assert [frame.index for frame in open_live(pausing, seconds=0.5)][-1] == 1
    assert 0.5 <= time.monotonic() - start < 30
    assert not is_watched()


def test_a_pause_ends_with_the_first_interrupt(pausing: Path) -> None:
    frames = iter(open_live(pausing))
    next(frames)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
        timer.start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            list(frames)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - start < 30
    assert not is_watched()


def test_time_that_is_up_ends_a_camera_that_gives_nothing() -> None:
    assert list(LiveSource(Device(1), seconds=0.1)) == []


@pytest.mark.parametrize("source", ["99", "rtsp://localhost:1/none", "missing.mp4"])
def test_a_missing_source_is_refused(source: str) -> None:
    with pytest.raises(InputError, match=source if source != "99" else "camera 99"):
        open_live(source)


def test_the_verb_writes_an_overlay_and_prints_the_latency(
    scene: Scene, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_clip(SceneFrames(scene, 10, Fraction(10)), tmp_path / "clip.mp4")
    arguments = ["live", tmp_path / "clip.mp4", "-o", tmp_path / "out.mp4", "--model", weights, "--size", 64]
    assert main([*map(str, arguments), "--backend", "torch", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    match = re.match(r"(\d+) of (\d+) frames, .* latency \d+ ms \(median\), \d+ ms", said)
    assert match
    shown, arrived = map(int, match.groups())
    assert 2 <= shown <= arrived == 10
    assert len(list(open_frames(tmp_path / "out.mp4"))) == shown

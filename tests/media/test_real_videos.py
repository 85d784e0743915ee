"""What comes out of a video is what was encoded, in number, order and time, however the file is made up."""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import pytest
from encoded_videos import encode, quadrants
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from real_videos import FORMATS, Format, film, joined, number_of, with_filter

from isomer.media import DamagedVideoWarning, Frame, open_frames


def read(path: Path) -> list[Frame]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return list(open_frames(path))


def numbers(frames: Sequence[Frame]) -> list[int]:
    return [number_of(frame.image) for frame in frames]


def assert_steady(frames: Sequence[Frame]) -> None:
    """Every picture stays until the next one."""
    for frame, following in pairwise(frames):
        assert frame.duration > 0
        assert frame.time + frame.duration == pytest.approx(following.time, abs=1e-9)


WITH_SOUND = [name for name, form in FORMATS.items() if form.sound]
STEPS = st.lists(st.integers(2, 60).map(lambda step: 10 * step), min_size=1, max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FORMATS)), STEPS, st.sampled_from([0, 40, 2500, 100_000]), st.sampled_from([10, 25, 60]))
def test_what_was_encoded_comes_out(name: str, steps: list[int], offset: int, rate: int) -> None:
    form = FORMATS[name]
    assume(len(steps) >= form.least)
    with TemporaryDirectory() as folder:
        frames = read(film(Path(folder) / "a", form, steps, offset=0 if form.rate else offset, rate=rate))
    assert numbers(frames) == list(range(len(steps)))
    assert_steady(frames)
    times = np.arange(len(steps)) / form.rate if form.rate else np.cumsum([0, *steps[:-1]]) / 1000
    assert np.allclose([frame.time for frame in frames], times, atol=1.01 * form.tick)
    if form.ends:
        stays = 1 / form.rate if form.rate else steps[-1] / 1000
        assert frames[-1].duration == pytest.approx(stays, abs=1.01 * form.tick)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(WITH_SOUND),
    st.lists(st.just("sound"), max_size=2),
    st.lists(st.just("sound"), max_size=1),
    st.integers(1, 9),
)
def test_the_place_of_the_stream_does_not_matter(name: str, before: list[str], after: list[str], count: int) -> None:
    assume(count >= FORMATS[name].least)
    with TemporaryDirectory() as folder:
        frames = read(film(Path(folder) / "a", FORMATS[name], [40] * count, before=before, after=after))
    assert numbers(frames) == list(range(count))


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize(
    ("before", "after"),
    [(["video"], []), ([], ["video"]), (["sound", "video"], ["video", "sound"]), (["cover"], []), ([], ["cover"])],
)
def test_the_stream_that_is_marked_as_the_default_is_shown(
    tmp_path: Path, name: str, before: list[str], after: list[str]
) -> None:
    path = film(tmp_path / "a", FORMATS[name], [40] * 5, before=before, after=after)
    assert numbers(read(path)) == list(range(5))


@contextmanager
def same_priority() -> Iterator[None]:
    """Undo what SVT-AV1 does as root: its caller becomes a real-time thread, and so do those that it starts later.

    Of those, OpenMP's that wait for each other would never give the processor to the one that they wait for.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def test_an_animated_avif_is_read_whole(tmp_path: Path) -> None:
    form = Format(".avif", "libsvtav1", options={"preset": "12", "svtav1-params": "lp=1"})
    if form.codec not in av.codecs_available:
        pytest.skip("this PyAV encodes no AV1")
    with same_priority():
        path = film(tmp_path / "a", form, [40] * 6)
    with av.open(str(path)) as file:
        assert [stream.frames for stream in file.streams.video] == [1, 6]
    assert numbers(read(path)) == list(range(6))


def test_a_stream_that_appears_late_costs_no_picture(tmp_path: Path) -> None:
    """Sound begins behind where FFmpeg has looked for streams."""
    silent = film(tmp_path / "a", FORMATS["flv"], [40] * 200)
    sounding = film(tmp_path / "b", FORMATS["flv"], [40] * 3, before=["sound"])
    path = tmp_path / "c.flv"
    path.write_bytes(silent.read_bytes() + sounding.read_bytes()[13:])  # without a second header
    with av.open(str(path)) as file:
        assert len(file.streams) == 1
    assert numbers(read(path)) == [*range(200), *range(3)]


CLOCKS = st.lists(st.sampled_from([1, 3, 5.4, 9, 13, 60, 1000, 20_000, 50_000]), min_size=2, max_size=4)


@settings(max_examples=40, deadline=None)
@given(CLOCKS)
def test_clocks_that_jump_go_on(clocks: list[float]) -> None:
    """Parts of a transport stream, each with a clock of its own: ffmpeg keeps gaps of up to 10 s and no others."""
    count, step = 6, 0.04
    expected: list[float] = []
    with TemporaryDirectory() as folder:
        parts = []
        for index, start in enumerate(clocks):
            offset = round(1000 * start)
            name = Path(folder) / str(index)
            parts.append(film(name, FORMATS["ts"], [40] * count, offset=offset, first=index * count))
            gap = 0.0 if index == 0 else start - (clocks[index - 1] + count * step)
            first = (expected[-1] + step if expected else 0.0) + (gap if 0 <= gap <= 10 else 0.0)
            expected += [first + step * place for place in range(count)]
        frames = read(joined(Path(folder) / "all.ts", parts))
    assert numbers(frames) == list(range(count * len(clocks)))
    assert np.allclose([frame.time for frame in frames], expected, atol=1e-3)


@pytest.mark.parametrize("clocks", [(1, 1000), (1000, 1)])
def test_clocks_that_jump_go_on_with_sound(tmp_path: Path, clocks: tuple[int, int]) -> None:
    parts = [
        film(tmp_path / f"{start}", FORMATS["ts"], [40] * 25, offset=1000 * start, before=["sound"]) for start in clocks
    ]
    frames = read(joined(tmp_path / "all.ts", parts))
    assert numbers(frames) == 2 * list(range(25))
    assert frames[-1].time + frames[-1].duration == pytest.approx(2, abs=0.1)
    assert open_frames(tmp_path / "all.ts").count in (50, None)


def test_a_pause_is_no_jump_of_the_clock_in_a_format_without_jumps(tmp_path: Path) -> None:
    times = [frame.time for frame in read(film(tmp_path / "a", FORMATS["mkv"], [40, 90_000, 40]))]
    assert times == pytest.approx([0, 0.04, 90.04])


def test_a_stamp_that_cannot_be_is_none(tmp_path: Path) -> None:
    """The clock of four bytes of a Flash video, in milliseconds, is spoilt in the middle."""
    path = film(tmp_path / "a", FORMATS["flv"], [40] * 9)
    with av.open(str(path)) as file:
        packet = [packet for packet in file.demux(video=0) if packet.size][4]
        place = packet.pos
    data = bytearray(path.read_bytes())
    assert data[place] == 9  # a video tag: kind, size, stamp
    data[place + 7] = 0x7F
    path.write_bytes(data)
    frames = read(path)
    assert numbers(frames) == list(range(9))
    assert frames[-1].time < 1


def test_a_file_that_starts_late_is_whole_and_counted(tmp_path: Path) -> None:
    path = film(tmp_path / "a", FORMATS["mkv"], [40] * 10, offset=2500)
    assert open_frames(path).count == 10
    data = path.read_bytes()
    # As mkvmerge writes it: the duration is the length, not the end.
    place = data.index(b"\x44\x89\x88") + 3
    assert struct.unpack_from(">d", data, place)[0] == pytest.approx(2900)
    data = data[:place] + struct.pack(">d", 400) + data[place + 8 :]
    path.write_bytes(data.replace(b"Lavf", b"mkvm"))
    assert open_frames(path).count == 10
    assert len(read(path)) == 10


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_late_file_that_is_cut_is_still_noticed(tmp_path: Path, share: float) -> None:
    path = film(tmp_path / "a", FORMATS["mkv"], [40] * 30, offset=2500)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.warns(DamagedVideoWarning):
        list(open_frames(path))


def test_a_rate_that_is_only_the_clocks_is_not_believed(tmp_path: Path) -> None:
    """The mean rate is 60000 pictures a second by the header of a DV file, and 48 by that of an AVI with two ticks."""
    dv = encode(tmp_path / "a.dv", [quadrants(720, 576)] * 3, codec="dvvideo", options={})
    assert open_frames(dv).fps == 25
    avi = film(tmp_path / "b", FORMATS["avi"], [40] * 8)
    assert open_frames(avi).fps == 25


@pytest.mark.parametrize(
    ("change", "upright"),
    [
        ("rotate=90", lambda image: np.rot90(image)),
        ("rotate=180", lambda image: np.rot90(image, 2)),
        ("flip=horizontal", np.fliplr),
    ],
)
def test_an_orientation_of_the_first_picture_goes_for_all(tmp_path: Path, change: str, upright: object) -> None:
    """An SEI message is with the key frames only."""
    source = film(tmp_path / "a", FORMATS["mp4"], [40] * 8)
    path = with_filter(tmp_path / "b.mp4", source, f"h264_metadata=display_orientation=insert:{change}")
    frames = read(path)
    assert len(frames) == 8
    for frame, plain in zip(frames, read(source), strict=True):
        assert np.array_equal(frame.image, upright(plain.image))


@pytest.mark.parametrize("name", ["mkv", "webm"])
@pytest.mark.parametrize("place", [1, 4, 9, 19])
def test_damage_near_the_end_costs_no_other_picture(tmp_path: Path, name: str, place: int) -> None:
    """Pictures behind one another in several threads are not lost with the one that fails."""
    form = FORMATS[name]
    options = {"bf": "0", "intra-refresh": "0", "g": "1"} if name == "mkv" else {"g": "1"}
    form = Format(form.suffix, form.codec, options={**form.options, **options})
    path = film(tmp_path / "a", form, [40] * 20)
    with av.open(str(path)) as file:
        packet = [bytes(packet) for packet in file.demux(video=0) if packet.size][-place]
    data = path.read_bytes()
    at = data.index(packet[8:])
    path.write_bytes(data[:at] + bytes(len(packet) - 8) + data[at + len(packet) - 8 :])
    with pytest.warns(DamagedVideoWarning):
        frames = list(open_frames(path))
    assert numbers(frames) == [number for number in range(20) if number != 20 - place]

"""Sound in the videos that are written: there, whole, in step with the pictures, as it was."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fractions import Fraction
from itertools import count, takewhile
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.media import OUTPUTS, Segmented, open_frames, open_output
from isomer.media.image import write_image

SIZE = (64, 48)
RATE = 48_000
EVENT = 0.1
"""Seconds for which a flash is seen, and a beep heard."""
FORMAT_OF = {
    **dict.fromkeys(("aac", "ac3", "libmp3lame"), "fltp"),
    **dict.fromkeys(("flac", "mp2", "pcm_s16le"), "s16"),
    "libopus": "flt",
}
KIND_OF = {".mp4": "overlay", ".mkv": "overlay", ".mov": "prores", ".webm": "cutout"}


def beeps(events: Sequence[float], start: float, end: float, channels: int) -> NDArray[np.float32]:
    """Sound from second `start` to `end`, float32 [channels, samples], which is silent but at the events."""
    time = np.arange(round(start * RATE), round(end * RATE)) / RATE
    is_heard = np.any([(event <= time) & (time < event + EVENT) for event in events], axis=0)
    wave = np.where(is_heard, np.sin(2 * np.pi * 1000 * time), 0) * 0.5
    return np.repeat(wave[None], channels, axis=0).astype(np.float32)


def film(
    path: Path,
    events: Sequence[float],
    times: Sequence[float],
    *,
    codec: str = "aac",
    layouts: Sequence[str] = ("mono",),
    spans: Sequence[tuple[float, float]] = ((0, 2),),
    offset: float = 0,
    default: int = 0,
) -> Path:
    """Write pictures that are white at the events and else black, and tracks of sound with a beep at each.

    Args:
        path: of the file.
        events: seconds at which something happens.
        times: seconds at which the pictures are shown.
        codec: of the sound.
        layouts: of the tracks of sound; none for no sound.
        spans: seconds from and to which there is sound, piece by piece.
        offset: second of the file's clock that is the pictures' 0.
        default: the track that players take.
    """
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        tracks = [file.add_stream(codec, rate=RATE, layout=layout, format=FORMAT_OF[codec]) for layout in layouts]
        for number, track in enumerate(tracks):
            track.disposition = int(number == default)
        for time in times:
            is_white = any(event <= time + 1e-9 < event + EVENT for event in events)
            image = np.full((SIZE[1], SIZE[0], 3), 255 * is_white, np.uint8)
            picture = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format="yuv420p", threads=1)
            picture.pts, picture.time_base = round((time + offset) * 1000), Fraction(1, 1000)
            file.mux(video.encode(picture))
        file.mux(video.encode(None))
        for number, track in enumerate(tracks):
            channels = len(track.layout.channels)
            for start, end in spans:
                wave = beeps(events, start, end, channels) * (number == default)
                for at in range(0, wave.shape[1], 960):
                    block = wave[:, at : at + 960]
                    frame = sound_frame(block, FORMAT_OF[codec], track.layout.name)
                    frame.pts = round((start + offset) * RATE) + at
                    frame.time_base = Fraction(1, RATE)
                    file.mux(track.encode(frame))
            file.mux(track.encode(None))
    return path


def sound_frame(block: NDArray[np.float32], kind: str, layout: str) -> av.AudioFrame:
    samples = np.ascontiguousarray(block if kind.endswith("p") else block.T.reshape(1, -1))
    if kind == "s16":
        samples = (samples * 32767).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(samples, kind, layout)
    frame.sample_rate = RATE
    return frame


def every(seconds: float, end: float = 2) -> list[float]:
    return list(takewhile(lambda time: time < end - 1e-6, (round(index * seconds, 6) for index in count())))


def write(video: Path, suffix: str, stride: int = 1, audio: bool = True) -> Path:
    """Write an output with a picture for every `stride`-th frame."""
    output = OUTPUTS[KIND_OF[suffix]]
    source = open_frames(video, audio=audio)
    with open_output(output, video.with_name(f"out{suffix}"), source) as writer:
        for frame in source:
            if frame.index % stride == 0:
                writer.write(Segmented.of(frame, np.ones(SIZE[::-1], np.float32)))
    return writer.path


def heard(path: Path) -> list[float]:
    """Seconds at which beeps begin, as a player hears them: the file's edit list is followed."""
    samples, starts = [], []
    with av.open(str(path)) as file:
        for frame in file.decode(audio=0):
            if frame.time is None:  # of what a decoder makes up
                continue
            block = frame.to_ndarray().astype(np.float64)
            block = block.reshape(-1, len(frame.layout.channels)).T if not frame.format.is_planar else block
            scale = 32768 if frame.format.name.startswith("s16") else 1
            samples.append(np.abs(block).max(axis=0) / scale)
            starts.append(frame.time + np.arange(frame.samples) / frame.sample_rate)
    level, time = np.concatenate(samples), np.concatenate(starts)
    loud = time[level > 0.2]
    return [] if not loud.size else [loud[0], *loud[1:][np.diff(loud) > EVENT / 2]]


def seen(path: Path) -> list[float]:
    """Seconds of the file's clock at which flashes begin."""
    found, was_white = [], False
    with av.open(str(path)) as file:
        for picture in file.decode(video=0):
            is_white = picture.to_ndarray(format="gray").mean() > 100
            if is_white and not was_white:
                found.append(picture.time)
            was_white = is_white
    return found


def assert_in_step(path: Path, events: Sequence[float], tolerance: float = 0.003) -> None:
    assert np.abs(np.array(heard(path)) - seen(path)).max() < tolerance
    assert np.abs(np.array(heard(path)) - events).max() < tolerance


@pytest.mark.parametrize("suffix", KIND_OF)
@pytest.mark.parametrize(
    ("container", "codec"),
    [
        (".mp4", "aac"),
        (".mkv", "libopus"),
        (".mkv", "libmp3lame"),
        (".mov", "pcm_s16le"),
        (".ts", "mp2"),
        (".ts", "aac"),
    ],
)
def test_sound_is_in_step(tmp_path: Path, suffix: str, container: str, codec: str) -> None:
    events = [0.4, 1.2]
    path = write(film(tmp_path / f"clip{container}", events, every(0.04), codec=codec), suffix)
    assert_in_step(path, events, tolerance=0.025 if codec == "mp2" else 0.003)
    with av.open(str(path)) as file:
        (sound,) = file.streams.audio
        assert float(file.duration / av.time_base) == pytest.approx(2, abs=0.1)
        assert len(sound.layout.channels) == 1


@pytest.mark.parametrize(
    ("suffix", "codec", "expected"),
    [
        (".mp4", "aac", "aac"),
        (".mp4", "libopus", "opus"),
        (".mp4", "libmp3lame", "mp3"),
        (".mp4", "flac", "flac"),
        (".mov", "flac", "aac"),
        (".mp4", "mp2", "aac"),
        (".mp4", "pcm_s16le", "aac"),
        (".mkv", "mp2", "mp2"),
        (".mov", "pcm_s16le", "pcm_s16le"),
        (".mov", "libopus", "aac"),
        (".webm", "libopus", "opus"),
        (".webm", "aac", "opus"),
    ],
)
def test_sound_is_copied_where_the_container_takes_it(tmp_path: Path, suffix: str, codec: str, expected: str) -> None:
    video = film(tmp_path / "clip.mkv", [0.4], every(0.04), codec=codec)
    path = write(video, suffix)
    with av.open(str(video)) as before, av.open(str(path)) as after:
        assert after.streams.audio[0].codec_context.codec.canonical_name == expected
        if codec.endswith(expected):
            original, kept = (b"".join(map(bytes, file.demux(audio=0))) for file in (before, after))
            assert original.endswith(kept)
            assert len(kept) > 0.95 * len(original)  # what is before the first picture goes where it cannot stay


@pytest.mark.parametrize("suffix", KIND_OF)
def test_pictures_of_any_duration(tmp_path: Path, suffix: str) -> None:
    times = [0, 0.04, 0.3, 0.5, 0.52, 0.54, 0.9, 1.3, 1.35, 1.5, 1.9]
    assert_in_step(write(film(tmp_path / "clip.mkv", [0.5, 1.3], times), suffix), [0.5, 1.3])


@pytest.mark.parametrize("stride", [2, 5])
def test_some_frames_only(tmp_path: Path, stride: int) -> None:
    assert_in_step(write(film(tmp_path / "clip.mp4", [0.4, 1.2], every(0.04)), ".mp4", stride), [0.4, 1.2])


@pytest.mark.parametrize("suffix", KIND_OF)
@pytest.mark.parametrize("codec", ["aac", "libopus", "pcm_s16le"])
@pytest.mark.parametrize("start", [-0.5, 0.3])
def test_sound_that_begins_before_or_after_the_pictures(tmp_path: Path, suffix: str, codec: str, start: float) -> None:
    video = film(tmp_path / "clip.mkv", [-0.3, 0.8], every(0.04), codec=codec, spans=[(start, 2)], offset=1)
    assert_in_step(write(video, suffix), [0.8], tolerance=0.005)


@pytest.mark.parametrize("suffix", KIND_OF)
@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_gaps_stay(tmp_path: Path, suffix: str, codec: str) -> None:
    video = film(tmp_path / "clip.mkv", [0.2, 1.6], every(0.04), codec=codec, spans=[(0, 0.5), (1.5, 2)])
    assert_in_step(write(video, suffix), [0.2, 1.6], tolerance=0.03)


@pytest.mark.parametrize("suffix", KIND_OF)
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "5.1(side)"])
def test_channels_stay(tmp_path: Path, suffix: str, layout: str) -> None:
    path = write(film(tmp_path / "clip.mkv", [0.4], every(0.04), codec="pcm_s16le", layouts=[layout]), suffix)
    with av.open(str(path)) as file:
        assert file.streams.audio[0].layout.nb_channels == av.AudioLayout(layout).nb_channels
    assert_in_step(path, [0.4])


@pytest.mark.parametrize("suffix", KIND_OF)
@pytest.mark.parametrize(("codec", "rate"), [("libmp3lame", 8000), ("pcm_s16le", 11111), ("flac", 192_000)])
def test_any_rate(tmp_path: Path, suffix: str, codec: str, rate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_sound.RATE", rate)
    path = write(film(tmp_path / "clip.mkv", [0.4, 1.2], every(0.04), codec=codec), suffix)
    assert_in_step(path, [0.4, 1.2], tolerance=0.005)


def test_of_several_tracks_the_default_one_is_kept(tmp_path: Path) -> None:
    video = film(tmp_path / "clip.mkv", [0.4], every(0.04), layouts=["stereo", "mono", "stereo"], default=1)
    path = write(video, ".mp4")
    with av.open(str(path)) as file:
        assert [track.layout.name for track in file.streams.audio] == ["mono"]
    assert_in_step(path, [0.4])


def test_an_edit_list_is_followed(tmp_path: Path) -> None:
    """An MP4 whose first half second is edited away, of pictures and sound alike."""
    video = film(tmp_path / "clip.mp4", [0.2, 1], every(0.04))
    cut = tmp_path / "cut.mp4"
    with av.open(str(video)) as file, av.open(str(cut), "w") as copy:
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in file.streams}
        for packet in file.demux():
            if packet.size:
                shift = round(0.5 / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = streams[packet.stream_index]
                copy.mux(packet)
    first = next(iter(open_frames(cut)))
    assert first.time == 0
    assert_in_step(write(cut, ".mp4"), [0.5], tolerance=0.025)


@pytest.mark.parametrize("suffix", KIND_OF)
def test_nothing_is_said_of_a_video_without_sound(tmp_path: Path, suffix: str) -> None:
    silent = film(tmp_path / "clip.mp4", [], every(0.04), layouts=[])
    images = tmp_path / "images"
    images.mkdir()
    for name in "ab":
        write_image(images / f"{name}.png", np.zeros((*SIZE[::-1], 3), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for source in (silent, images):
            with av.open(str(write(source, suffix))) as file:
                assert not file.streams.audio


def test_no_audio(tmp_path: Path) -> None:
    with av.open(str(write(film(tmp_path / "clip.mp4", [0.4], every(0.04)), ".mp4", audio=False))) as file:
        assert not file.streams.audio


def garbled(path: Path, video: Path, start: float) -> Path:
    """A copy of a video with nonsense in place of its sound from a second on."""
    rng = np.random.default_rng(0)
    with av.open(str(video)) as file, av.open(str(path), "w") as copy:
        streams = {stream.index: copy.add_stream_from_template(stream) for stream in file.streams}
        for packet in file.demux():
            if not packet.size:
                continue
            target = streams[packet.stream_index]
            if packet.stream.type == "audio" and packet.pts * packet.time_base >= start:
                nonsense = av.Packet(rng.bytes(packet.size))
                nonsense.pts, nonsense.dts, nonsense.duration = packet.pts, packet.dts, packet.duration
                nonsense.time_base = packet.time_base
                packet = nonsense
            packet.stream = target
            copy.mux(packet)
    return path


@pytest.mark.parametrize("suffix", KIND_OF)
def test_sound_that_cannot_be_decoded_is_left_out_with_one_line(tmp_path: Path, suffix: str) -> None:
    video = garbled(tmp_path / "bad.mkv", film(tmp_path / "clip.mkv", [0.4], every(0.04), codec="ac3"), -1)
    with pytest.warns(UserWarning, match="sound") as caught:
        path = write(video, suffix)
    assert [str(w.message) for w in caught] == ["bad.mkv: its sound cannot be decoded; the outputs are silent"]
    with av.open(str(path)) as file:
        assert not file.streams.audio
        assert len(list(file.decode(video=0))) == 50


@pytest.mark.parametrize("suffix", KIND_OF)
def test_sound_that_is_damaged_midway_is_kept_up_to_there(tmp_path: Path, suffix: str) -> None:
    whole = film(tmp_path / "clip.mkv", [0.4, 1.7], every(0.04), codec="ac3")
    with pytest.warns(UserWarning, match="sound") as caught:
        path = write(garbled(tmp_path / "bad.mkv", whole, 1.2), suffix)
    assert [str(w.message) for w in caught] == ["bad.mkv: some of its sound cannot be decoded and is left out"]
    assert heard(path) == pytest.approx([0.4], abs=0.003)


def test_a_clock_that_jumps_does_so_for_pictures_and_sound(tmp_path: Path) -> None:
    parts = [film(tmp_path / f"{at}.ts", [0.4], every(0.04), offset=at) for at in (1, 500)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    path = write(joined, ".mp4")
    assert len(heard(path)) == 2
    assert np.abs(np.array(heard(path)) - seen(path)).max() < 0.05


def test_the_same_sound_gives_the_same_bytes(tmp_path: Path) -> None:
    video = film(tmp_path / "clip.mkv", [0.4], every(0.04), codec="mp2")
    for suffix in (".mp4", ".webm"):
        assert write(video, suffix).read_bytes() == write(video, suffix).read_bytes()

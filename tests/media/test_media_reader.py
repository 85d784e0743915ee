from __future__ import annotations

import errno
import os
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from encoded_videos import assert_close, encode, growing, moving, quadrants

from isomer.errors import InputError
from isomer.media import DamagedVideoWarning, Frame, open_frames
from isomer.media.frame import pixel_aspect
from isomer.media.image import write_image
from isomer.media.masks import open_masks


def read(path: Path) -> list[Frame]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return list(open_frames(path))


def test_a_video_streams_its_frames(clip: Path) -> None:
    source = open_frames(clip)
    assert (source.size, source.fps, source.count) == ((96, 64), Fraction(25), 30)
    frames = read(clip)
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.name for frame in frames[:2]] == ["00000", "00001"]
    assert np.allclose([frame.time for frame in frames], np.arange(30) / 25)
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (64, 96, 3)
        assert frame.image.flags.c_contiguous


def test_a_source_can_be_read_again_and_left_early(clip: Path) -> None:
    source = open_frames(clip)
    first = next(iter(source))
    again = list(source)
    assert len(again) == len(list(source)) == 30
    assert np.array_equal(first.image, again[0].image)


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    (frame,) = read(encode(tmp_path / "one.mp4", [quadrants(64, 48)]))
    assert frame.time == 0
    assert_close(frame.image, quadrants(64, 48))


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "options"),
    [
        ("a.mp4", "libx264", "yuv420p", {"crf": "10"}),
        ("b.mp4", "libx264", "yuv444p", {"crf": "10"}),
        ("c.mkv", "ffv1", "yuv420p10le", {}),
        ("d.webm", "libvpx-vp9", "yuva420p", {"crf": "10", "b": "0", "auto-alt-ref": "0"}),
        ("e.avi", "mpeg4", "yuv420p", {"qscale": "1"}),
        ("f.mov", "mjpeg", "yuvj420p", {"qscale": "1"}),
        ("g.ts", "mpeg2video", "yuv420p", {"qscale": "1"}),
        ("h.gif", "gif", "rgb8", {}),
    ],
)
def test_colours_of_every_container(
    tmp_path: Path, name: str, codec: str, pixel_format: str, options: dict[str, str]
) -> None:
    image = quadrants(96, 64)
    path = encode(tmp_path / name, [image] * 12, codec=codec, pixel_format=pixel_format, options=options)
    frames = read(path)
    assert len(frames) == 12
    assert_close(frames[2].image, image, tolerance=80 if codec == "gif" else 8)


@pytest.mark.parametrize("matrix", ["ITU601", "ITU709"])
@pytest.mark.parametrize("levels", ["MPEG", "JPEG"])
def test_colour_matrix_and_range_are_those_the_file_states(tmp_path: Path, matrix: str, levels: str) -> None:
    image = quadrants(96, 64)
    reformat = {"dst_colorspace": matrix, "dst_color_range": levels}
    flags = {
        "crf": "8",
        "colorspace": {"ITU601": "smpte170m", "ITU709": "bt709"}[matrix],
        "color_range": {"MPEG": "tv", "JPEG": "pc"}[levels],
    }
    path = encode(tmp_path / "a.mp4", [image] * 3, options=flags, reformat=reformat)
    assert_close(read(path)[1].image, image)


def test_odd_sizes(tmp_path: Path) -> None:
    image = quadrants(97, 63)
    path = encode(tmp_path / "odd.mkv", [image] * 3, codec="ffv1", options={})
    assert open_frames(path).size == (97, 63)
    assert_close(read(path)[1].image, image)


def test_time_stamps_of_a_variable_frame_rate(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.21, 1.0, 1.5]
    path = encode(tmp_path / "vfr.mp4", moving(6), times=times)
    assert np.allclose([frame.time for frame in read(path)], times, atol=1e-4)


def test_time_starts_at_zero_and_sound_is_ignored(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", moving(6), times=[3 + i / 25 for i in range(6)], audio=True)
    assert np.allclose([frame.time for frame in read(path)], np.arange(6) / 25, atol=2e-3)


def with_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Put the matrix in the track header of an MP4 (ISO 14496-12, 8.3.2): 16.16 fixed point."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    struct.pack_into(">9i", data, at, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((1, 0, 0, 1), lambda image: image),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),  # a telephone held upright
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_a_video_is_turned_upright(tmp_path: Path, matrix: tuple[int, ...], upright: object) -> None:
    path = with_display_matrix(encode(tmp_path / "turned.mp4", [quadrants(96, 64)] * 3), *matrix)
    expected = upright(quadrants(96, 64))
    assert open_frames(path).size == (expected.shape[1], expected.shape[0])
    frame = read(path)[1]
    assert frame.image.flags.c_contiguous
    assert_close(frame.image, expected)


@pytest.mark.parametrize(("stated", "aspect"), [("64/45", Fraction(64, 45)), ("1/1", 1), ("0/1", 1), ("10/1", 1)])
def test_pixels_may_not_be_square(tmp_path: Path, stated: str, aspect: Fraction) -> None:
    path = encode(tmp_path / "a.mp4", [quadrants(96, 64)] * 3, options={"crf": "10", "aspect": stated})
    assert pixel_aspect(open_frames(path)) == aspect
    assert open_frames(path).size == (96, 64)
    turned = with_display_matrix(path, 0, 1, -1, 0)
    assert pixel_aspect(open_frames(turned)) == 1 / aspect


def test_pictures_that_change_their_size_are_scaled_to_the_first(tmp_path: Path) -> None:
    path = growing(tmp_path / "grows.h264", (96, 64), (192, 128))
    source = open_frames(path, max_pixels=192 * 128)
    frames = list(source)
    assert (source.size, len(frames)) == ((96, 64), 12)
    assert {frame.image.shape for frame in frames} == {(64, 96, 3)}


@pytest.mark.parametrize("second", [(112, 64), (1920, 1088)], ids=["decoded", "refused by the decoder"])
def test_pictures_that_grow_beyond_the_bound_are_refused(tmp_path: Path, second: tuple[int, int]) -> None:
    path = growing(tmp_path / "grows.h264", (96, 64), second)
    frames = iter(open_frames(path, max_pixels=96 * 64))
    assert next(frames).image.shape == (64, 96, 3)
    with pytest.raises(InputError, match=r"grows\.h264: a picture of more than 6144 pixels; make the video smaller$"):
        list(frames)


@pytest.mark.parametrize("size", [(1920, 1088), (96, 66)])
@pytest.mark.parametrize(
    ("suffix", "codec", "pixel_format"),
    [("mp4", "libx264", "yuv420p"), ("webm", "libvpx-vp9", "yuv420p"), ("avi", "mjpeg", "yuvj420p")],
)
def test_a_video_beyond_the_bound_is_refused_at_once(
    tmp_path: Path, size: tuple[int, int], suffix: str, codec: str, pixel_format: str
) -> None:
    images = [quadrants(*size)] * 2
    path = encode(tmp_path / f"a.{suffix}", images, codec=codec, pixel_format=pixel_format, options={})
    with pytest.raises(InputError, match="of more than 6144 pixels"):
        open_frames(path, max_pixels=6144)
    assert open_frames(path, max_pixels=size[0] * size[1]).size == size


def test_damage_within_the_bound_is_still_damage(clip: Path) -> None:
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) * 2 // 3])
    with pytest.warns(DamagedVideoWarning):
        assert len(list(open_frames(clip, max_pixels=96 * 64))) > 5


@pytest.mark.parametrize("share", [0.4, 0.7, 0.95])
@pytest.mark.parametrize("audio", [False, True])
def test_of_a_cut_file_what_decodes_is_read_with_a_warning(tmp_path: Path, share: float, audio: bool) -> None:
    whole = encode(tmp_path / "whole.mp4", moving(60), audio=audio, container={"movflags": "+faststart"})
    data = whole.read_bytes()
    path = tmp_path / "clip.mp4"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.warns(DamagedVideoWarning) as warned:
        frames = list(open_frames(path))
    assert 0 < len(frames) < 60
    (said,) = [str(warning.message) for warning in warned]
    assert said == f"clip.mp4: damaged after {len(frames)} frames; those {len(frames)} were processed"
    for frame, original in zip(frames, read(whole), strict=False):
        assert np.array_equal(frame.image, original.image)


@pytest.mark.parametrize("suffix", [".mkv", ".flv", ".avi"])
def test_other_containers_cut_in_half_warn_too(tmp_path: Path, suffix: str) -> None:
    codec = "flv1" if suffix == ".flv" else "mpeg4"
    data = encode(tmp_path / f"whole{suffix}", moving(60), codec=codec, options={}).read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: len(data) // 2])
    with pytest.warns(DamagedVideoWarning, match="damaged after"):
        assert 10 < len(list(open_frames(path))) < 40


def test_damage_in_the_middle_costs_only_the_frames_it_hits(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", moving(40), codec="mjpeg", pixel_format="yuvj420p", options={})
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    at = data.index(packets[20])
    path.write_bytes(data[:at] + bytes(len(packets[20])) + data[at + len(packets[20]) :])
    with pytest.warns(DamagedVideoWarning, match="the 39 that decode were processed"):
        assert len(list(open_frames(path))) == 39


def test_a_file_that_is_whole_does_not_warn_when_sound_outlasts_the_picture(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", moving(10), audio=True)  # 0.4 s of pictures, 2.6 s of sound
    assert len(read(path)) == 10


def refused(path: Path | str) -> str:
    with pytest.raises(InputError) as error:
        open_frames(path)
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_bad_files_are_refused_in_one_line(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "missing.mp4")
    (tmp_path / "text.mp4").write_text("This is a text.\n" * 100)
    assert "not a video" in refused(tmp_path / "text.mp4")
    (tmp_path / "empty.mp4").touch()
    assert "not a video" in refused(tmp_path / "empty.mp4")
    write_image(tmp_path / "photo.png", quadrants(64, 48))
    assert "not a video" in refused(tmp_path / "photo.png")
    assert "is an address" in refused(Path("http://localhost/clip.mp4"))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mp4")
        assert "neither" in refused(tmp_path / "pipe.mp4")


@pytest.mark.parametrize("name", ["photo.jpg", "photo.bmp", "photo.webp", "photo.png", "sound.wav", "sound.flac"])
def test_what_is_no_video_is_said_to_be_none(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.stem == "photo":
        write_image(path, quadrants(64, 48))
    else:
        with av.open(str(path), "w") as file:
            stream = file.add_stream("flac" if path.suffix == ".flac" else "pcm_s16le", rate=16_000, layout="mono")
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.int16), "s16", "mono")
            samples.sample_rate = 16_000
            file.mux(stream.encode(samples))
            file.mux(stream.encode(None))
    assert "an image, sound or the like; give a video" in refused(path)
    disguised = path.rename(tmp_path / "clip.mp4")
    assert "an image, sound or the like; give a video" in refused(disguised)


def test_an_encrypted_video_is_said_to_be_encrypted(tmp_path: Path) -> None:
    secret = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c" * 4, "encryption_kid": "a7e61c37" * 4}
    path = encode(tmp_path / "a.mp4", moving(10), container=secret)
    assert refused(path).endswith("is encrypted; give a copy without protection")
    clip = encode(tmp_path / "clip.mp4", moving(10))
    clip.write_bytes(clip.read_bytes().replace(b"avc1", b"encv"))  # nor is it told what is encrypted
    assert refused(clip).endswith("is encrypted; give a copy without protection")


def test_a_codec_without_a_decoder_is_named(clip: Path) -> None:
    clip.write_bytes(clip.read_bytes().replace(b"avc1", b"xyz1"))
    assert "its codec, none (xyz1 / 0x317A7978), cannot be decoded; convert the video" in refused(clip)


@pytest.mark.parametrize("name", [b"caf\xe9.mp4", b"x" * 248 + b".mp4", "日本 %d.mp4".encode()])
def test_a_file_may_have_any_name(clip: Path, name: bytes) -> None:
    path = clip.with_name(os.fsdecode(name))
    try:
        clip.rename(path)
    except OSError:
        pytest.skip("this file system takes no such name")
    assert len(read(path)) == 30


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=16_000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        samples.sample_rate = 16_000
        file.mux(stream.encode(samples))
        file.mux(stream.encode(None))
    assert "no video stream" in refused(tmp_path / "sound.mp4")


def test_a_video_none_of_whose_frames_decodes_is_refused(clip: Path) -> None:
    data = clip.read_bytes()
    at = data.index(b"mdat") + 4
    clip.write_bytes(data[:at] + bytes(len(data) - at))
    assert "no frame" in refused(clip)


@pytest.mark.parametrize("disguise", ["playlist.m3u8", "playlist.mp4"])
@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\nclip.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile 'clip.ts'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
    ],
    ids=["hls", "concat", "sdp"],
)
def test_files_that_name_other_files_or_addresses_are_not_followed(tmp_path: Path, disguise: str, text: str) -> None:
    encode(tmp_path / "clip.ts", moving(30))
    (tmp_path / disguise).write_text(text)
    assert "not a video" in refused(tmp_path / disguise)


def test_a_file_name_is_never_a_protocol(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clip.parent)
    assert "no such file" in refused("concat:clip.mp4|clip.mp4")
    Path("data:clip.mp4").write_bytes(clip.read_bytes())
    assert len(read(Path("data:clip.mp4"))) == 30


def image_folder(path: Path, names: list[str], sizes: list[tuple[int, int]] | None = None) -> Path:
    path.mkdir()
    for name, (width, height) in zip(names, sizes or [(32, 24)] * len(names), strict=True):
        write_image(path / name, quadrants(width, height))
    return path


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "frames", ["f10.png", "f9.jpg", "f1.bmp", "f2.webp"])
    (folder / "notes.txt").write_text("not a frame")
    (folder / "._f1.png").write_bytes(b"a resource fork")
    source = open_frames(folder)
    assert (source.size, source.fps, source.count) == ((32, 24), 24, 4)
    frames = list(source)
    assert [frame.name for frame in frames] == ["f1", "f2", "f9", "f10"]
    assert np.allclose([frame.time for frame in frames], np.arange(4) / 24)
    assert np.array_equal(frames[3].image, quadrants(32, 24))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
def test_a_folder_of_different_sizes_is_refused(tmp_path: Path, suffix: str) -> None:
    names = [f"{index}{suffix}" for index in range(3)]
    folder = image_folder(tmp_path / "frames", names, [(32, 24), (32, 24), (40, 24)])
    assert f"2{suffix} is 40x24 but 0{suffix} is 32x24" in refused(folder)


def test_images_beyond_the_bound_are_refused(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "frames", ["a.png", "b.png"])
    assert open_frames(folder, max_pixels=32 * 24).size == (32, 24)
    with pytest.raises(InputError, match=r"a\.png: an image of 32 x 24, which is more than 767 pixels"):
        open_frames(folder, max_pixels=32 * 24 - 1)


@pytest.mark.parametrize("side", [8193, 20_000, 65_535])
def test_images_that_would_take_too_much_memory_are_refused_by_their_headers(tmp_path: Path, side: int) -> None:
    folder = image_folder(tmp_path / "frames", ["a.png", "b.png"])
    for file in folder.iterdir():
        data = bytearray(file.read_bytes())
        struct.pack_into(">II", data, 16, side, side)
        file.write_bytes(data)
    with pytest.raises(InputError, match=rf"a\.png: an image of {side} x {side}, which is more than 67108864 pixels"):
        open_frames(folder)
    assert open_frames(folder, max_pixels=side * side).size == (side, side)


def test_frames_of_a_folder_stay_for_as_long_as_each_other(tmp_path: Path) -> None:
    frames = list(open_frames(image_folder(tmp_path / "frames", ["a.png", "b.png"])))
    assert [frame.duration for frame in frames] == [1 / 24, 1 / 24]


@pytest.mark.parametrize("opened", [open_frames, open_masks])
def test_a_folder_that_may_not_be_read_is_said(
    opened: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\); check the path and its permissions"):
        opened(tmp_path)


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no images" in refused(tmp_path / "empty")
    assert "two images are named a" in refused(image_folder(tmp_path / "twice", ["a.png", "a.jpg"]))
    broken = image_folder(tmp_path / "broken", ["a.png", "b.png"])
    (broken / "b.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"b\.png"):
        open_frames(broken)
    broken.joinpath("b.png").unlink()
    broken.joinpath("b.png").symlink_to("gone.png")  # a frame that is lost
    with pytest.raises(InputError, match=r"b\.png: cannot be read"):
        open_frames(broken)
    late = image_folder(tmp_path / "late", ["a.png", "b.png"])
    (late / "b.png").write_bytes((late / "b.png").read_bytes()[:40])  # the header is whole
    with pytest.raises(InputError, match=r"b\.png"):
        list(open_frames(late))


PEAK = """
import resource, sys, numpy as np
from isomer.media import OUTPUTS, Segmented, open_frames, open_outputs
source = open_frames(sys.argv[1])
outputs = [OUTPUTS["overlay"], OUTPUTS["masks"]]
with open_outputs([(output, output.default_path(source)) for output in outputs], source) as writers:
    for frame in source:
        probability = np.full(frame.image.shape[:2], frame.index % 2, np.float32)
        for writer in writers:
            writer.write(Segmented.of(frame, probability))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    def peak(frames: int) -> int:
        images = moving(20, 320, 240)
        looped = (images[index % 20] for index in range(frames))
        path = encode(tmp_path / f"{frames}.mp4", looped, codec="mpeg4", options={})
        result = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, check=True)
        return int(result.stdout)

    assert peak(500) < 1.1 * peak(100)  # 400 more frames of 230 kB are 92 MB

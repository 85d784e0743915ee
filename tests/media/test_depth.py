"""Depth and colours of what is written: HDR as SDR where SDR is written, else as it was, and tagged so."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import pytest
from encoded_videos import encode, moving, quadrants
from numpy.typing import NDArray
from PIL import Image
from real_videos import with_filter
from test_colour import HLG, PQ, TO_BT2020, hdr_code

from isomer import segment_video
from isomer.errors import InputError
from isomer.media import OUTPUTS, Look, Segmented, open_frames, open_output, tiff
from isomer.media.background import open_background
from isomer.media.colour import Tags, from_sdr, to_sdr
from isomer.media.image import read_image

SIZE = (96, 64)
SDR_WIDE = 14
"""Transfer of BT.2020 at 10 bits."""


def picture(seed: int = 0) -> NDArray[np.uint8]:
    """An SDR scene: soft shapes of all colours and levels."""
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (8, 12, 3), np.uint8), SIZE, interpolation=cv2.INTER_CUBIC)


def code_of(image: NDArray[np.uint8], transfer: int) -> NDArray[np.uint16]:
    """An SDR image as R'G'B' of BT.2020, its white at 100 nits."""
    light = np.clip((image / 255) ** 2.4 @ TO_BT2020.T, 0, 1)
    code = light ** (1 / 2.4) if transfer == SDR_WIDE else hdr_code(100 * light, transfer)
    return np.rint(65535 * code).astype(np.uint16)


def film(
    path: Path,
    codes: list[NDArray[np.uint16]],
    tags: tuple[int, int, int],
    *,
    pixel_format: str = "yuv444p10le",
    full_range: bool = False,
) -> Path:
    """Write R'G'B' as lossless video with tags: primaries, transfer, matrix."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=Fraction(25))
        stream.height, stream.width = codes[0].shape[:2]
        stream.pix_fmt = pixel_format
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = tags
        context.color_range = 2 if full_range else 1
        for code in codes:
            frame = av.VideoFrame.from_ndarray(code, "rgb48le")
            frame.colorspace = tags[2]
            frame = frame.reformat(
                format=pixel_format,
                dst_color_range=2 if full_range else 1,
                interpolation="BICUBIC",
                threads=1,
            )
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write(
    kind: str, video: Path, probability: float = 1, background: str = "green", *, premultiplied: bool = False
) -> Path:
    source = open_frames(video, deep=OUTPUTS[kind].is_deep)
    look = Look(premultiplied=premultiplied)
    if OUTPUTS[kind].shows_background:
        look = Look(background=open_background(background, "cover"))
    with open_output(OUTPUTS[kind], OUTPUTS[kind].default_path(source), source, look) as writer:
        for frame in source:
            writer.write(Segmented.of(frame, np.full(frame.image.shape[:2], probability, np.float32)))
    return writer.path


class Decoded(NamedTuple):
    """The first picture of a file: R'G'B' in its own colours, FFmpeg's frame, and what that states."""

    code: NDArray[np.uint16]
    frame: av.VideoFrame
    tags: tuple[int, int, int]


def decoded(path: Path) -> Decoded:
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
    tags = frame.color_primaries, frame.color_trc, frame.colorspace
    frame.color_primaries = frame.color_trc = 2  # or FFmpeg converts what it need not
    return Decoded(frame.reformat(format="rgb48le", interpolation="BICUBIC", threads=1).to_ndarray(), frame, tags)


@pytest.mark.parametrize("kind", ["overlay", "composite", "cutout", "cutouts", "composites"])
@pytest.mark.parametrize("transfer", [PQ, HLG, SDR_WIDE])
def test_sdr_outputs_of_hdr_look_like_those_of_sdr(tmp_path: Path, kind: str, transfer: int) -> None:
    """Contrast and saturation of what is written are, within a tenth, those of the same scene in SDR."""
    shown = []
    for name, code, tags in (
        ("sdr.mkv", picture().astype(np.uint16) * 257, (1, 1, 1)),
        ("hdr.mkv", code_of(picture(), transfer), (9, transfer, 9)),
    ):
        path = write(kind, film(tmp_path / name, [code] * 2, tags))
        image = read_image(path / "00000.png") if path.is_dir() else next(iter(open_frames(path))).image
        shown.append(image.astype(float))
        if not path.is_dir():
            assert decoded(path).tags[1] in (1, 2)  # FFmpeg writes none into WebM
    sdr, hdr = shown
    assert hdr.std() == pytest.approx(sdr.std(), rel=0.1)
    assert np.ptp(hdr, axis=2).mean() == pytest.approx(np.ptp(sdr, axis=2).mean(), rel=0.1)
    assert np.abs(hdr - sdr).mean() < 10


@pytest.mark.parametrize("kind", ["prores", "hevc"])
@pytest.mark.parametrize("tags", [(9, PQ, 9), (9, HLG, 9), (9, SDR_WIDE, 9), (1, 1, 1), (6, 6, 6)])
@pytest.mark.parametrize("full_range", [False, True])
def test_deep_videos_keep_depth_and_colours(
    tmp_path: Path, kind: str, tags: tuple[int, int, int], full_range: bool
) -> None:
    code = cv2.resize(code_of(picture(), PQ), (192, 128))
    path = write(kind, film(tmp_path / "a.mkv", [code] * 3, tags, full_range=full_range))
    found, frame, said = decoded(path)
    assert said == tags
    assert frame.color_range == 1
    assert frame.format.components[0].bits >= 10
    assert len(np.unique(np.frombuffer(frame.planes[0], np.uint16))) > 256  # more than 8 bits hold
    assert np.abs(found.astype(int) - code).mean() < 65535 * 0.01


@pytest.mark.parametrize("pixel_format", ["yuv444p10le", "yuv422p12le", "yuv420p10le", "gbrp16le"])
@pytest.mark.parametrize("tags", [(9, PQ, 9), (12, 1, 1)])
def test_deep_images_keep_every_bit_and_say_their_colours(
    tmp_path: Path, pixel_format: str, tags: tuple[int, int, int]
) -> None:
    video = film(tmp_path / "a.mkv", [code_of(picture(), PQ)] * 2, tags, pixel_format=pixel_format)
    expected = decoded(video).code
    path = write("cutouts16", video) / "00000.png"
    rgba = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    assert rgba.dtype == np.uint16
    assert np.array_equal(rgba[..., :3], expected)
    assert (rgba[..., 3] == 65535).all()
    data = path.read_bytes()
    at = data.index(b"cICP") + 4
    assert tuple(data[at : at + 4]) == (*tags[:2], 0, 1)  # PNG specification, 11.3.2.6: R'G'B' of full range
    assert data.index(b"cICP") < data.index(b"IDAT")
    assert decoded(path).tags[:2] == tags[:2]


@pytest.mark.parametrize("transfer", [PQ, HLG, SDR_WIDE])
@pytest.mark.parametrize("size", [(96, 64), (33, 17)])
def test_exr_has_the_light(
    tmp_path: Path, transfer: int, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As FFmpeg reads it: linear, of BT.709, premultiplied."""
    monkeypatch.setattr("isomer.media.pictures.estimate_foreground", lambda image, alpha: image)
    image = cv2.resize(picture(), size)
    video = film(tmp_path / "a.mkv", [code_of(image, transfer)] * 2, (9, transfer, 9), pixel_format="gbrp16le")
    path = write("exr", video, 0.6) / "00000.exr"
    with av.open(str(path)) as file:
        (frame,) = file.decode(video=0)
        assert frame.format.name == "gbrapf16le"
        assert (frame.width, frame.height) == size
    planes = [np.frombuffer(plane, "<f2").reshape(size[1], -1)[:, : size[0]] for plane in frame.planes]
    found = np.dstack([planes[index] for index in (2, 0, 1, 3)]).astype(float)
    alpha = np.clip((0.6 - 0.5) * 127.5 / 0.25 + 127.5, 0, 255) // 1 / 255
    assert np.allclose(found[..., 3], alpha, atol=2e-3)
    expected = (image / 255) ** 2.4 * alpha
    assert np.abs(found[..., :3] - expected).max() < 0.02


HALF = 178
"""Opacity of 255 where the probability is 0.6: see `isomer.media.pictures.matte`."""


@pytest.mark.parametrize("premultiplied", [False, True])
@pytest.mark.parametrize("size", [(96, 64), (33, 17)])
def test_tiff_keeps_every_bit_and_says_what_alpha_is(
    tmp_path: Path, size: tuple[int, int], premultiplied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As OpenCV, FFmpeg and Pillow read it."""
    monkeypatch.setattr("isomer.media.pictures.estimate_foreground", lambda image, alpha: image)
    video = film(tmp_path / "a.mkv", [cv2.resize(code_of(picture(), PQ), size)] * 2, (9, PQ, 9))
    path = write("tiff", video, 0.6, premultiplied=premultiplied) / "00001.tiff"
    rgba = cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    assert rgba.dtype == np.uint16
    assert (rgba[..., 3] == HALF * 257).all()
    colours = decoded(video).code * (HALF / 255 if premultiplied else 1)
    assert np.abs(rgba[..., :3] - colours).max() <= 0.51
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0))
        assert frame.format.name == "rgba64le"
        assert np.array_equal(frame.to_ndarray(), rgba)
    with Image.open(path) as image:
        tags = image.tag_v2
        assert (tags[338], tags[305]) == ((1 if premultiplied else 2,), "Isomer")  # TIFF 6.0: ExtraSamples, Software
        assert tags[282] == tags[283]  # square pixels


def test_tiff_of_8_bits_and_of_pixels_that_are_not_square(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)
    (tmp_path / "a.tiff").write_bytes(tiff.encode(image, pixel_aspect=Fraction(4, 3)))
    stored = cv2.imread(str(tmp_path / "a.tiff"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(stored, image[..., (2, 1, 0, 3)] * np.uint16(257))
    with Image.open(tmp_path / "a.tiff") as opened:
        across, down = (opened.tag_v2[tag] for tag in (282, 283))  # pixels a unit
        assert Fraction(float(down)) / Fraction(float(across)) == Fraction(4, 3)


def test_prores_is_premultiplied_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isomer.media.pictures.estimate_foreground", lambda image, alpha: image)
    video = film(tmp_path / "a.mkv", [cv2.resize(code_of(picture(), PQ), (192, 128))] * 2, (9, PQ, 9))
    straight = decoded(write("prores", video, 0.6)).code
    multiplied = decoded(write("prores", video, 0.6, premultiplied=True)).code
    assert np.abs(multiplied - straight * (HALF / 255)).mean() < 65535 * 0.005


@pytest.mark.parametrize("kinds", [["cutouts"], ["exr"], ["masks", "overlay"]])
def test_premultiplied_is_refused_where_no_output_has_the_choice(clip: Path, tmp_path: Path, kinds: list[str]) -> None:
    with pytest.raises(InputError, match=r"premultiplied: no output .* prores and tiff have it") as error:
        segment_video(clip, tmp_path / "out", outputs=kinds, premultiplied=True)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("background", ["#c04080", "blur"])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_background_has_its_colour_in_hdr(tmp_path: Path, background: str, transfer: int) -> None:
    image = np.full((64, 96, 3), (0xC0, 0x40, 0x80), np.uint8)
    path = write("hevc", film(tmp_path / "a.mkv", [code_of(image, transfer)] * 3, (9, transfer, 9)), 0, background)
    found, _, said = decoded(path)
    assert said == (9, transfer, 9)
    assert np.abs(found.astype(int) - code_of(image, transfer)).max() < 65535 * 0.02


@pytest.mark.parametrize("tags", [Tags(9, PQ, 9), Tags(9, HLG, 9), Tags(9, SDR_WIDE, 9), Tags(12, 1, 1), Tags()])
def test_sdr_in_other_colours_is_the_same_light(tags: Tags) -> None:
    image = np.minimum(picture(), 230)  # above the knee light is toned down
    error = np.abs(to_sdr(from_sdr(image, tags), tags).astype(int) - image)
    assert error.max() <= 4  # of the darkest codes
    assert error.mean() < 0.05


def test_what_8_bits_hold_costs_nothing(clip: Path) -> None:
    source = open_frames(clip, deep=True)
    assert source.tags == Tags()
    assert next(iter(source)).deep is None


def test_nobody_pays_for_depth_that_is_not_asked_for(tmp_path: Path) -> None:
    source = open_frames(film(tmp_path / "a.mkv", [code_of(picture(), PQ)] * 2, (9, PQ, 9)))
    assert source.tags == Tags()
    assert next(iter(source)).deep is None


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_16_bits_keep_them(tmp_path: Path, channels: int) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    stored = np.random.default_rng(0).integers(0, 65536, (24, 32, channels), np.uint16)
    for name in "ab":
        cv2.imwrite(str(folder / f"{name}.png"), stored.squeeze())
    found = cv2.imread(str(write("cutouts16", folder) / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(found[..., :3], np.broadcast_to(stored[..., :3], (24, 32, 3)))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_frame_at_depth_is_turned_as_the_frame_is(tmp_path: Path, degrees: int) -> None:
    video = encode(tmp_path / "a.mp4", [quadrants(96, 64)] * 3, pixel_format="yuv420p10le", options={"crf": "4"})
    sei = f"h264_metadata=display_orientation=insert:rotate={degrees}"
    frame = next(iter(open_frames(with_filter(tmp_path / "b.mp4", video, sei), deep=True)))
    assert frame.image.shape == ((96, 64, 3) if degrees % 180 else (64, 96, 3))
    assert frame.deep is not None
    assert np.abs((frame.deep().image >> 8).astype(int) - frame.image).mean() <= 2


def test_hevc_plays_where_apple_decodes(tmp_path: Path) -> None:
    path = write("hevc", encode(tmp_path / "a.mkv", moving(5), codec="ffv1", options={}))
    with av.open(str(path)) as file:
        context = file.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.codec_tag) == ("hevc", "yuv420p10le", "hvc1")
        assert len(list(file.decode(video=0))) == 5


def test_an_encoder_that_is_missing_is_said_in_one_line(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from isomer.errors import InputError
    from isomer.media.containers import video

    monkeypatch.setattr(video, "_HEVC", video.replace(video._HEVC, codec="libx999"))
    with (
        pytest.raises(InputError, match=r"a\.mp4: PyAV's FFmpeg has no encoder libx999 here; install PyAV's own wheel"),
        open_output(OUTPUTS["hevc"], clip.with_name("a.mp4"), open_frames(clip)),
    ):
        pass

"""Colours of videos as they are read: the matrix that is stated or meant, and HDR toned down to SDR."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from encoded_videos import assert_close, encode, quadrants
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from real_videos import FORMATS, film, with_filter

from isomer.media import open_frames
from isomer.media.colour import Tags, hdr_light, to_sdr

PQ, HLG = 16, 18


def first(path: Path) -> NDArray[np.uint8]:
    return next(iter(open_frames(path))).image


def untagged(path: Path, image: NDArray[np.uint8], matrix: str) -> Path:
    return encode(path, [image], options={"crf": "4"}, reformat={"dst_colorspace": matrix})


@pytest.mark.parametrize(
    ("size", "matrix"),
    [((640, 480), "ITU601"), ((720, 576), "ITU601"), ((1280, 720), "ITU709"), ((720, 1280), "ITU709")],
)
def test_a_matrix_that_is_not_stated_is_that_which_players_take(
    tmp_path: Path, size: tuple[int, int], matrix: str
) -> None:
    image = quadrants(*size)
    path = untagged(tmp_path / "a.mp4", image, matrix)
    with av.open(str(path)) as file:
        assert file.streams.video[0].codec_context.colorspace == 2
    assert_close(first(path), image, tolerance=3)


# Luma of red, green and blue; ITU-T H.273, table 4
WEIGHTS = {
    1: (0.2126, 0.7152, 0.0722),
    4: (0.30, 0.59, 0.11),
    5: (0.299, 0.587, 0.114),
    6: (0.299, 0.587, 0.114),
    7: (0.212, 0.701, 0.087),
    9: (0.2627, 0.6780, 0.0593),
}


@pytest.mark.parametrize("number", range(16))
def test_any_matrix_is_read_and_a_common_one_is_that_which_is_stated(tmp_path: Path, number: int) -> None:
    source = untagged(tmp_path / "a.mp4", np.full((64, 96, 3), (200, 60, 40), np.uint8), "ITU709")
    path = with_filter(tmp_path / "b.mp4", source, f"h264_metadata=matrix_coefficients={number}")
    colour = first(path)[32, 48]
    if number in WEIGHTS:
        with av.open(str(path)) as file:
            luma, blue, red = (np.frombuffer(plane, np.uint8)[0] for plane in next(file.decode(video=0)).planes)
        of_red, of_green, of_blue = WEIGHTS[number]
        y, b, r = (luma - 16) / 219, (float(blue) - 128) / 112, (float(red) - 128) / 112
        expected = [y + r * (1 - of_red), 0, y + b * (1 - of_blue)]
        expected[1] = (y - of_red * expected[0] - of_blue * expected[2]) / of_green
        assert np.abs(colour - 255 * np.array(expected)).max() <= 3


@pytest.mark.parametrize("number", [9, 10, 11, 12, 17])
def test_rare_transfers_and_primaries_are_read(tmp_path: Path, number: int) -> None:
    source = film(tmp_path / "a", FORMATS["mp4"], [40] * 3)
    tags = f"h264_metadata=transfer_characteristics={number}:colour_primaries={number}"
    assert len(list(open_frames(with_filter(tmp_path / "b.mp4", source, tags)))) == 3


def hdr_code(nits: NDArray[np.float64], transfer: int) -> NDArray[np.float64]:
    """Code in [0, 1] of light; the inverses in BT.2100, tables 4 and 5, of what is tested."""
    if transfer == PQ:
        m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
        power = (nits / 10_000) ** m1
        return ((c1 + c2 * power) / (1 + c3 * power)) ** m2
    scene = (nits / 1000) ** (1 / 1.2)
    with np.errstate(invalid="ignore", divide="ignore"):
        high = 0.17883277 * np.log(12 * scene - 0.28466892) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


# Linear RGB of BT.709 to that of BT.2020; ITU-R BT.2087
TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def hdr_video(path: Path, image: NDArray[np.uint8], transfer: int, nits: float) -> Path:
    """An SDR image, shown with a white of so many nits, as HDR of 10 bits."""
    light = nits * (image / 255) ** 2.4 @ TO_BT2020.T
    code = np.rint(65535 * hdr_code(light, transfer)).astype(np.uint16)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=Fraction(25))
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv444p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace, context.color_range = transfer, 9, 9, 1
        for _ in range(2):
            picture = av.VideoFrame.from_ndarray(code, "rgb48le")
            picture.colorspace = 9
            file.mux(stream.encode(picture.reformat(format="yuv444p10le", interpolation="BICUBIC", threads=1)))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_shows_what_sdr_shows_but_for_highlights(tmp_path: Path, transfer: int) -> None:
    dim = quadrants(96, 64) * 0.8  # dimmer than the knee
    path = hdr_video(tmp_path / "a.mkv", dim, transfer, 100)
    assert_close(first(path), np.rint(dim).astype(np.uint8), tolerance=6)
    bright = np.clip(quadrants(96, 64) * 1.3, 0, 255).astype(np.uint8)
    shown = first(hdr_video(tmp_path / "b.mkv", bright, transfer, 100)).astype(int)
    assert abs(shown.std() / bright.std() - 1) < 0.1
    saturations = [np.ptp(picture.astype(int), axis=2).mean() for picture in (shown, bright)]
    assert abs(saturations[0] / saturations[1] - 1) < 0.1


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_light_is_that_of_the_standard(transfer: int) -> None:
    light = hdr_light(transfer)
    assert light is not None
    nits = np.geomspace(0.01, 1000, 50)
    codes = np.rint(65535 * hdr_code(nits, transfer)).astype(int)
    assert np.allclose(light[codes] * 100, nits, rtol=2e-2)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_brighter_is_never_shown_darker(transfer: int) -> None:
    ramp = np.repeat(np.arange(0, 65536, 64, dtype=np.uint16)[None, :, None], 3, axis=2)
    shown = to_sdr(ramp, Tags(9, transfer, 9))[0]
    assert (np.diff(shown.astype(int), axis=0) >= 0).all()
    assert np.ptp(shown, axis=1).max() <= 1  # gray stays gray
    assert shown[0, 0] == 0
    assert shown[-1, 0] == 255


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([PQ, HLG]), st.tuples(*[st.integers(0, 65535)] * 3))
def test_a_colour_is_toned_down_by_the_formula(transfer: int, code: tuple[int, int, int]) -> None:
    light = hdr_light(transfer)
    assert light is not None
    linear = np.linalg.inv(TO_BT2020) @ light[list(code)]
    brightest = max(linear)
    knee, peak = 0.85, 10
    if brightest > knee:  # as in libavfilter/vf_tonemap.c
        a = -knee * knee * (peak - 1) / (knee * knee - 2 * knee + peak)
        b = (knee * knee - 2 * knee * peak + peak) / (peak - 1)
        linear *= (b * b + 2 * b * knee + knee * knee) / (b - a) * (brightest + a) / (brightest + b) / brightest
    expected = 255 * np.clip(linear, 0, 1) ** (1 / 2.4)
    assert np.abs(to_sdr(np.array([[code]], np.uint16), Tags(9, transfer, 9))[0, 0] - expected).max() < 1.5


def has_zscale() -> bool:
    if shutil.which("ffmpeg") is None:
        return False
    return " zscale " in subprocess.run(["ffmpeg", "-v", "0", "-filters"], capture_output=True, text=True).stdout


@pytest.mark.skipif(not has_zscale(), reason="no ffmpeg command with zscale")
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_is_toned_down_as_by_ffmpeg(tmp_path: Path, transfer: int) -> None:
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (4, 6, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    path = hdr_video(tmp_path / "a.mkv", image, transfer, 400)
    chain = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:param=0.85:peak=10:desat=0"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        path,
        "-vf",
        f"{chain},zscale=t=bt709,format=rgb24",
        "-f",
        "rawvideo",
        "-",
    ]
    shown = subprocess.run(command, capture_output=True, check=True).stdout
    expected = np.frombuffer(shown, np.uint8).reshape(-1, 64, 96, 3)[0].astype(int)
    assert np.abs(first(path) - expected).mean() < 4

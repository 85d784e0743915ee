"""The object over a background."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from encoded_videos import encode, quadrants
from numpy.typing import NDArray
from PIL import Image, ImageOps

from isomer.errors import ArgumentError, InputError
from isomer.media import OUTPUTS, Frame, Look, Segmented, open_frames, open_output
from isomer.media.background import Background, Blur, open_background
from isomer.media.image import read_image, write_image
from isomer.media.outputs import warn_of_idle
from isomer.media.pictures import composite, cutout
from isomer.options import VideoOptions

WIDTH, HEIGHT = 96, 64


def result(image: NDArray[np.uint8], time: float = 0, name: str = "") -> Segmented:
    """A frame with an object in its middle third, whose edges are soft."""
    height, width = image.shape[:2]
    ramp = np.clip((np.abs(np.arange(width) - width / 2) - width / 6) / -8 + 0.5, 0, 1).astype(np.float32)
    return Segmented.of(Frame(0, image, time, name), np.repeat(ramp[None], height, axis=0))


def shown(background: Background | str | Path, image: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    image = quadrants(WIDTH, HEIGHT) if image is None else image
    if isinstance(background, str | Path):
        background = open_background(background, "cover")
    return composite(result(image), Look(background=background))


@pytest.mark.parametrize(
    ("text", "rgb"),
    [("#00ff00", (0, 255, 0)), ("green", (0, 255, 0)), ("white", (255,) * 3), ("#1234aB", (0x12, 0x34, 0xAB))],
)
def test_a_colour(text: str, rgb: tuple[int, int, int]) -> None:
    """Against Pillow's compositing of the same cut-out."""
    image = quadrants(WIDTH, HEIGHT)
    behind = Image.new("RGBA", (WIDTH, HEIGHT), (*rgb, 255))
    expected = Image.alpha_composite(behind, Image.fromarray(cutout(result(image), Look()))).convert("RGB")
    picture = shown(text)
    assert np.abs(picture.astype(int) - np.asarray(expected)).max() <= 1
    assert (picture[:, 0] == rgb).all()
    assert np.array_equal(picture[:, WIDTH // 2], image[:, WIDTH // 2])


def test_transparent_is_the_cutout() -> None:
    assert np.array_equal(shown("transparent"), cutout(result(quadrants(WIDTH, HEIGHT)), Look()))


@pytest.mark.parametrize("size", [(300, 100), (50, 200), (96, 64), (1, 1)])
@pytest.mark.parametrize(
    ("fit", "reference"),
    [
        ("cover", lambda image: ImageOps.fit(image, (WIDTH, HEIGHT), Image.Resampling.BOX)),
        ("contain", lambda image: ImageOps.pad(image, (WIDTH, HEIGHT), Image.Resampling.BOX)),
        ("stretch", lambda image: image.resize((WIDTH, HEIGHT), Image.Resampling.BOX)),
    ],
)
def test_an_image_gets_the_shape_of_the_frame(
    tmp_path: Path, size: tuple[int, int], fit: str, reference: Callable[[Image.Image], Image.Image]
) -> None:
    width, height = size
    y, x = np.mgrid[:height, :width]
    image = np.dstack((x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), 0 * x)).astype(np.uint8)
    write_image(tmp_path / "a.png", image)
    background = open_background(tmp_path / "a.png", fit)
    nothing = np.zeros((HEIGHT, WIDTH), np.uint8)
    behind = background.behind(quadrants(WIDTH, HEIGHT), 0, nothing)
    expected = np.asarray(reference(Image.fromarray(image)))
    assert behind.shape == expected.shape
    assert np.abs(behind.astype(int) - expected).mean() < 4


def test_a_circle_stays_one_where_pixels_are_not_square(tmp_path: Path) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    cv2.circle(image, (50, 50), 40, (255,) * 3, -1)
    write_image(tmp_path / "a.png", image)
    for fit in ("cover", "contain"):
        background = open_background(tmp_path / "a.png", fit, Fraction(2))
        behind = background.behind(quadrants(80, 160), 0, np.zeros((160, 80), np.uint8))
        _, _, width, height = cv2.boundingRect((behind[..., 0] > 127).astype(np.uint8))
        assert height == pytest.approx(2 * width, abs=2)


def test_a_video_goes_at_its_own_pace_and_begins_again(tmp_path: Path) -> None:
    """Ten pictures a second, of 0.4 s, behind frames of any time."""
    levels = [40, 90, 140, 190]
    images = [np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in levels]
    background = open_background(encode(tmp_path / "a.mkv", images, codec="ffv1", options={}, fps=10), "cover")
    nothing = np.zeros((HEIGHT, WIDTH), np.uint8)
    for time in (0, 0.05, 0.1, 0.12, 0.25, 0.399, 0.4, 0.45, 1.31, 1.31, 7.25):
        level = background.behind(quadrants(WIDTH, HEIGHT), time, nothing)[0, 0, 0]
        assert abs(int(level) - levels[int(time % 0.4 / 0.1 + 1e-6)]) <= 2


def test_a_blur_keeps_what_is_flat_and_is_of_the_rest_alone() -> None:
    """A red object on blue and white stripes leaves no red around it; stripes become their mean."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, :, 2] = 200
    image[::2] = 240
    image[:, 30:66] = (255, 0, 0)
    behind = Blur(6).behind(image, 0, cutout(result(image), Look())[..., 3])
    around = np.r_[4:24, 72:92]
    assert np.abs(behind[8:-8, around].astype(int) - (120, 120, 220)).max() < 12


@pytest.mark.parametrize("radius", [2, 9, 30])
def test_a_blur_is_a_gaussian_of_its_radius(radius: int) -> None:
    image = np.zeros((301, 301, 3), np.uint8)
    image[100:200, 100:200] = 255
    blurred = Blur(radius).behind(image, 0, np.zeros((301, 301), np.uint8)).astype(float)
    expected = cv2.GaussianBlur(image.astype(float), (0, 0), radius)
    assert np.abs(blurred - expected).max() < 10


@pytest.mark.parametrize("text", ["nothing.jpg", "#12345", "blur:", "blur:x", "blur:99999", "GREEN"])
def test_what_is_no_background_is_refused(text: str, tmp_path: Path) -> None:
    os.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=f"background={text}: neither black, white, green, blue, #RRGGBB, blur"):
        open_background(text, "cover")


@pytest.mark.parametrize("text", ["blur:0", "blur:1001"])
def test_a_radius_has_bounds(text: str) -> None:
    with pytest.raises(ArgumentError, match=f"background={text}: its radius is not between 1 and 1000 pixels"):
        open_background(text, "cover")


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.mp4"):
        (tmp_path / name).write_text("nothing")
        with pytest.raises(InputError, match=rf"{name}: not a(n image| video) that can be read"):
            open_background(tmp_path / name, "cover")


@pytest.mark.parametrize(
    ("kind", "background", "problem"),
    [
        ("composite", "transparent", "background=transparent: is for images such as composites"),
        ("overlay", "blur", "is in none of the outputs asked for; those that show it are composite, composites"),
    ],
)
def test_outputs_say_where_a_background_has_no_place(clip: Path, kind: str, background: str, problem: str) -> None:
    look = Look(background=open_background(background, "cover"))
    with (
        pytest.raises(InputError, match=problem),
        open_output(OUTPUTS[kind], clip.with_name("a.mp4"), open_frames(clip), look),
    ):
        pass
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(
    ("kinds", "options", "idle"),
    [
        (["masks"], {"feather": 2.0}, ["feather"]),
        (["masks", "cutouts"], {"feather": 2.0}, []),
        (["overlay"], {"edges": "matte"}, ["edges"]),
        (["prores"], {"edges": "matte"}, []),
        (["composite"], {"fit": "contain"}, ["fit"]),
        (["composite"], {"fit": "contain", "background": "a.png"}, []),
        (["probabilities"], {"grow": 2, "threshold": 0.4}, ["threshold", "grow"]),
        (["probabilities", "masks"], {"grow": 2, "threshold": 0.4}, []),
        (["masks"], {}, []),
    ],
)
def test_options_without_effect_are_named(kinds: list[str], options: dict[str, Any], idle: list[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_idle(VideoOptions(**options), [OUTPUTS[kind] for kind in kinds])
    assert [str(warning.message).partition(":")[0] for warning in caught] == idle


@pytest.mark.parametrize("name", ["clip.mp4", "a.png"])
def test_an_output_does_not_replace_its_background(clip: Path, name: str, tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", quadrants(WIDTH, HEIGHT))
    other = encode(tmp_path / "other.mp4", [quadrants(WIDTH, HEIGHT)] * 3, fps=10)
    look = Look(background=open_background(tmp_path / name, "cover"))
    kind = OUTPUTS["composite" if name.endswith("mp4") else "composites"]
    with (
        pytest.raises(InputError, match=f"{name}: is the background itself"),
        open_output(kind, tmp_path / name, open_frames(other), look),
    ):
        pass


def test_composites_are_written(clip: Path) -> None:
    source = open_frames(clip)
    for kind in ("composite", "composites"):
        with open_output(OUTPUTS[kind], OUTPUTS[kind].default_path(source), source) as writer:
            for frame in source:
                writer.write(result(frame.image, frame.time, frame.name))
    with av.open(str(clip.with_name("clip_composite.mp4"))) as file:
        pictures = [picture.to_ndarray(format="rgb24") for picture in file.decode(video=0)]
    assert len(pictures) == 30
    assert np.abs(pictures[7][:, 2:20].astype(int) - (0, 255, 0)).max() < 8
    still = read_image(clip.with_name("clip_composites") / "00007.png")
    assert np.abs(pictures[7][:, 40:56].astype(int) - still[:, 40:56]).mean() < 12
    assert (still[:, 0] == (0, 255, 0)).all()

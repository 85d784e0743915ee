from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from isomer.errors import InputError
from isomer.media.image import (
    DAVIS_PALETTE,
    encode_palette,
    image_size,
    read_gray,
    read_image,
    read_palette,
    write_image,
    write_palette,
)

indices = st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(lambda shape: arrays(np.uint8, shape))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("palette")


@given(indices)
@settings(max_examples=60)
def test_a_palette_png_gives_back_its_indices_and_shows_its_colours(folder: Path, image: NDArray[np.uint8]) -> None:
    path = folder / "labels.png"
    write_palette(path, image)
    assert np.array_equal(read_palette(path), image)
    colours = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]  # libpng looks the colours up
    assert np.array_equal(colours, DAVIS_PALETTE[image])


def by_hand(indices: NDArray[np.uint8], depth: int, extra: bytes = b"") -> bytes:
    """A palette PNG of 1, 2, 4 or 8 bits, packed pixel by pixel (PNG specification, section 7.2)."""
    rows = b""
    for row in indices:
        bits = "".join(f"{value:0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        rows += b"\0" + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = indices.shape
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 3, 0, 0, 0))
        + chunk(b"PLTE", bytes(3 * 2**depth))
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_pngs_of_every_depth_are_read(tmp_path: Path, depth: int) -> None:
    image = np.random.default_rng(depth).integers(0, 2**depth, (5, 13)).astype(np.uint8)
    transparency = struct.pack(">I4sB", 1, b"tRNS", 0) + struct.pack(">I", zlib.crc32(b"tRNS\0"))
    (tmp_path / "labels.png").write_bytes(by_hand(image, depth, transparency))
    assert np.array_equal(read_palette(tmp_path / "labels.png"), image)


def test_the_davis_palette_starts_with_the_published_colours() -> None:
    published = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 4: (0, 0, 128)}
    published |= {9: (191, 0, 0), 15: (191, 128, 128), 18: (0, 191, 0), 21: (128, 64, 128), 200: (200,) * 3}
    for index, colour in published.items():
        assert tuple(DAVIS_PALETTE[index]) == colour


def test_what_is_no_palette_png_is_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "gray.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.png").write_bytes(encode_palette(np.zeros((50, 50), np.uint8))[:-30])
    for name in ("gray.png", "text.png", "cut.png", "missing.png"):
        with pytest.raises(InputError, match=name):
            read_palette(tmp_path / name)


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_rgb_survives(tmp_path: Path, suffix: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    write_image(tmp_path / f"a{suffix}", image)
    assert np.array_equal(read_image(tmp_path / f"a{suffix}"), image)
    assert image_size(tmp_path / f"a{suffix}") == (5, 7)


def test_gray_survives(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (7, 5), np.uint8)
    write_image(tmp_path / "a.png", image)
    assert np.array_equal(read_gray(tmp_path / "a.png"), image)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_sizes_and_colours_of_lossy_images(tmp_path: Path, suffix: str) -> None:
    image = np.full((31, 47, 3), (200, 90, 30), np.uint8)
    write_image(tmp_path / f"a{suffix}", image)
    assert image_size(tmp_path / f"a{suffix}") == (47, 31)
    assert np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - image).max() <= 6


def test_a_jpeg_is_turned_by_its_exif_orientation(tmp_path: Path) -> None:
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, 16:] = 255
    data = cv2.imencode(".jpg", image)[1].tobytes()
    orientation = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)  # 6: turn clockwise
    exif = b"Exif\0\0" + orientation
    marker = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    (tmp_path / "a.jpg").write_bytes(data[:2] + marker + data[2:])
    assert image_size(tmp_path / "a.jpg") == (16, 32)
    upright = read_image(tmp_path / "a.jpg")
    assert upright.shape == (32, 16, 3)
    assert upright[4, 8].max() < 20
    assert upright[28, 8].min() > 235


def test_bad_images_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("hello")
    for name in ("empty.png", "text.jpg", "missing.png"):
        for read in (read_image, read_gray, image_size):
            with pytest.raises(InputError, match=name) as error:
                read(tmp_path / name)
            assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"a\.tiff"):
        write_image(tmp_path / "a.tiff", np.zeros((4, 4), np.uint8))


def test_the_size_in_a_header_is_that_of_the_image(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (23, 37, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise
    images = {
        "plain.webp": (image, {}),
        "lossless.webp": (image, {"lossless": True}),
        "opacity.webp": (image.convert("RGBA"), {}),
        "turned.webp": (image, {"exif": exif}),
        "turned.jpg": (image, {"exif": exif}),
        "turned.png": (image, {"exif": exif}),
        "progressive.jpg": (image, {"progressive": True}),
        "gray.bmp": (image.convert("L"), {}),
        "palette.png": (image.convert("P"), {}),
    }
    for name, (picture, options) in images.items():
        picture.save(tmp_path / name, **options)
        height, width = read_image(tmp_path / name).shape[:2]
        assert image_size(tmp_path / name) == (width, height), name


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.webp"])
def test_images_beyond_the_bound_are_refused_before_they_are_decoded(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, np.zeros((31, 47, 3), np.uint8))
    for read in (read_image, image_size):
        read(tmp_path / name, max_pixels=47 * 31)
        with pytest.raises(InputError, match=rf"{name}: an image of 47 x 31, which is more than 1456 pixels"):
            read(tmp_path / name, max_pixels=47 * 31 - 1)


def test_masks_of_more_pixels_than_a_frame_may_have_are_refused(tmp_path: Path) -> None:
    data = bytearray(encode_palette(np.zeros((8, 8), np.uint8)))
    struct.pack_into(">II", data, 16, 65_535, 65_535)
    struct.pack_into(">I", data, 29, zlib.crc32(data[12:29]))
    (tmp_path / "a.png").write_bytes(data)
    for read in (read_gray, read_palette):
        with pytest.raises(InputError, match=r"a\.png: an image of 65535 x 65535"):
            read(tmp_path / "a.png")

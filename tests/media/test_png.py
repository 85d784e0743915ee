from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.media import png
from isomer.media.image import decode_palette, decode_stored, encode_image, read_gray

INFLATERS: list[ModuleType] = list({id(module): module for module in (zlib, png._zlib)}.values())


@pytest.fixture(autouse=True, params=INFLATERS, ids=[module.__name__ for module in INFLATERS])
def inflater(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_zlib", request.param)


def predictor(kind: int, left: int, up: int, corner: int) -> int:
    """What a filter subtracts (PNG specification, section 9)."""
    if kind < 4:
        return (0, left, up, (left + up) // 2)[kind]
    return min((left, up, corner), key=lambda value: abs(left + up - corner - value))


def encode(
    samples: NDArray[np.uint8],
    depth: int,
    filters: list[int],
    colour_type: int = png.GRAY,
    extra: tuple[tuple[bytes, bytes], ...] = (),
    parts: int = 1,
) -> bytes:
    """A PNG, byte by byte as the specification has it; `parts` IDAT chunks."""
    above, content = None, b""
    for row, kind in zip(samples, filters, strict=True):
        bits = "".join(f"{value:0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        line = [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
        above = above or [0] * len(line)
        content += bytes([kind]) + bytes(
            (value - predictor(kind, left, up, corner)) % 256
            for value, left, up, corner in zip(line, [0, *line], above, [0, *above], strict=False)
        )
        above = line
    height, width = samples.shape
    data = zlib.compress(content)
    step = -(-len(data) // parts)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)), *extra]
    chunks += [(b"IDAT", data[i : i + step]) for i in range(0, len(data), step)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in [*chunks, (b"IEND", b"")]
    )


def opencv(data: bytes) -> NDArray[np.uint8] | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@st.composite
def images(draw: st.DrawFn) -> tuple[NDArray[np.uint8], int, list[int], int]:
    """Noise or a few flat areas, of any depth, with any filters, in one or several chunks."""
    depth = draw(st.sampled_from((1, 2, 4, 8)))
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 40)))
    samples = draw(arrays(np.uint8, shape, elements=st.integers(0, 2**depth - 1)))
    if draw(st.booleans()):
        samples = np.repeat(np.repeat(samples[::4], 4, 0), 7, 1)[: shape[0], : shape[1]]
    filters = draw(st.lists(st.integers(0, 4), min_size=shape[0], max_size=shape[0]))
    return samples, depth, filters, draw(st.integers(1, 3))


@settings(max_examples=100, deadline=None)
@given(images())
def test_every_depth_and_filter_is_read_as_opencv_does(
    image: tuple[NDArray[np.uint8], int, list[int], int],
) -> None:
    samples, depth, filters, parts = image
    palette = (b"PLTE", bytes(3 * 2**depth))
    gray = encode(samples, depth, filters, parts=parts)
    assert np.array_equal(decode_stored(gray, "a.png"), opencv(gray))
    assert np.array_equal(decode_stored(gray, "a.png"), samples * (255 // (2**depth - 1)))
    indices = encode(samples, depth, filters, png.PALETTE, (palette,), parts)
    assert np.array_equal(decode_palette(indices, "a.png"), samples)
    for data, kind in ((gray, png.GRAY), (indices, png.PALETTE)):
        assert png.peek_kind(data) == (depth, kind)
        assert png.peek_size(data) == samples.shape[::-1]
        decoded = png.decode_samples(png.parse(data))
        assert decoded is None or np.array_equal(decoded, samples)
        if set(filters) <= {0, 1, 2}:
            assert decoded is not None


def blobs(height: int = 97, width: int = 130) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    image = np.where((y - 40) ** 2 + (x - 50) ** 2 < 900, 255, 0)
    image[70:90, 80:120] = 128
    return image.astype(np.uint8)


@pytest.mark.parametrize("kind", [0, 1, 2, 4])
def test_masks_take_no_full_decoder(kind: int) -> None:
    image = blobs()
    filters = [kind if row % 8 == 0 or kind < 4 else 0 for row in range(len(image))]  # Paeth is the odd row's
    assert np.array_equal(png.decode_gray(encode(image, 8, filters)), image)


def encodings() -> Iterator[bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (60, 70)).astype(np.uint8)
    for image in (blobs(), cv2.GaussianBlur(blobs(), (0, 0), 5), noise):
        for filters in (cv2.IMWRITE_PNG_FILTER_SUB, cv2.IMWRITE_PNG_ALL_FILTERS):
            for level in (0, 1, 9):
                options = [cv2.IMWRITE_PNG_FILTER, filters, cv2.IMWRITE_PNG_COMPRESSION, level]
                yield cv2.imencode(".png", image, options)[1].tobytes()
        yield cv2.imencode(".png", np.where(image > 99, 255, 0), [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes()


@pytest.mark.parametrize("data", list(encodings()))
def test_files_that_opencv_wrote(data: bytes) -> None:
    assert np.array_equal(decode_stored(data, "a.png"), opencv(data))


def test_what_opencv_writes_by_itself_takes_no_full_decoder() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 70)).astype(np.uint8)
    assert np.array_equal(png.decode_gray(encode_image(image)), image)


@pytest.mark.parametrize("kind", [1, 3])
def test_damage_anywhere_is_refused_by_name(tmp_path: Path, kind: int) -> None:
    image = blobs(20, 60)
    whole = encode(image, 8, [kind] * len(image), parts=2)
    path = tmp_path / "damaged.png"
    rng = np.random.default_rng(0)
    end = len(whole) - 12  # IEND
    for position in range(16, end, 2):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << rng.integers(8)
        assert png.decode_gray(bytes(flipped)) is None
        path.write_bytes(flipped)
        with pytest.raises(InputError, match=r"damaged\.png"):
            read_gray(path)
    for length in range(0, end, 3):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"damaged\.png"):
            read_gray(path)


def test_image_data_of_another_size_or_checksum_are_left_to_the_full_decoder() -> None:
    image = blobs(20, 60)
    whole = encode(image, 8, [0] * 20)
    file = png.parse(whole)
    stream = file.chunks[b"IDAT"]
    wrong_checksum = stream[:-1] + bytes([stream[-1] ^ 1])
    for data in (wrong_checksum, stream[:-4], stream[:10], b"", zlib.compress(bytes(50_000_000), 9)):
        assert png.decode_samples(file._replace(chunks={b"IDAT": data})) is None
    assert png.decode_samples(file._replace(height=19)) is None
    assert png.decode_samples(file._replace(height=21)) is None
    assert np.array_equal(png.decode_samples(file), image)


@pytest.mark.parametrize("chunk", [(b"tRNS", b"\0\0"), (b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0")])
def test_transparency_and_orientation_are_left_to_the_full_decoder(chunk: tuple[bytes, bytes]) -> None:
    data = encode(blobs(20, 60), 8, [0] * 20, extra=(chunk,))
    assert png.decode_gray(data) is None
    assert np.array_equal(decode_stored(data, "a.png"), opencv(data))


def test_other_kinds_are_left_to_the_full_decoder() -> None:
    deep = cv2.imencode(".png", blobs().astype(np.uint16) * 257)[1].tobytes()
    colour = encode_image(np.dstack([blobs()] * 3))
    for data in (deep, colour):
        assert png.decode_gray(data) is None
        assert png.decode_samples(png.parse(data)) is None
        assert np.array_equal(decode_stored(data, "a.png"), opencv(data))

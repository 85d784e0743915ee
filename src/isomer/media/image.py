"""Image files: RGB, gray and RGBA through OpenCV, and palette PNGs whose values are object numbers."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.files import atomic_path
from isomer.media import png
from isomer.media.colour import Tags
from isomer.options import VideoOptions

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})

MAX_PIXELS = VideoOptions.max_pixels
"""Most pixels of an image or a frame, for want of another bound: 8192 x 8192, which takes 200 MB as RGB."""

_HEAD = 65_536  # bytes in which a JPEG's size is found, unless long profiles come first


def _davis_palette() -> NDArray[np.uint8]:
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    for index in range(22):
        for channel in range(3):
            high, low = index >> channel & 1, index >> channel + 3 & 1
            palette[index, channel] = (0, 64, 128, 191)[2 * high + low]
    return palette


DAVIS_PALETTE = _davis_palette()
"""uint8 [256, 3] RGB of the DAVIS annotations: 22 distinct colours, background black, then a gray ramp."""


def read_bytes(path: str | Path, most: int = -1) -> bytes:
    """Read a file, or the first `most` bytes of it.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an image as contiguous uint8 RGB [H, W, 3], turned upright by its EXIF orientation.

    Raises:
        InputError: the file is missing, not an image, or one of more than `max_pixels`.
    """
    image = _decode(read_bytes(path), cv2.IMREAD_COLOR, path, max_pixels)
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


def is_deep_image(path: str | Path) -> bool:
    """Whether a file is a PNG of 16 bits.

    Raises:
        InputError: it cannot be read.
    """
    head = read_bytes(path, _HEAD)
    kind = png.peek_kind(head)
    return kind is not None and kind.depth == 16 and not _may_be_turned(head)


def read_deep_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint16]:
    """Read a PNG of 16 bits as RGB, uint16 [H, W, 3].

    Raises:
        InputError: the file is missing, not an image, or one of more than `max_pixels`.
    """
    stored = decode_stored(read_bytes(path), path, max_pixels)
    channels = np.atleast_3d(stored)[..., 2::-1]
    return np.ascontiguousarray(np.broadcast_to(channels[..., :3], (*stored.shape[:2], 3)), np.uint16)


def read_gray(path: str | Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an image, such as a mask or a probability map, as uint8 gray [H, W]; colours become luma.

    Raises:
        InputError: the file is missing, not an image, or one of more than `max_pixels`.
    """
    return decode_gray(read_bytes(path), path, max_pixels)


def decode_gray(data: bytes, path: str | Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """The image that was read from `path` as uint8 gray [H, W]; colours become luma.

    Raises:
        InputError: it is not an image, or one of more than `max_pixels`.
    """
    levels = _png_levels(data, path, max_pixels)
    if levels is None:
        levels = np.asarray(_decode(data, cv2.IMREAD_GRAYSCALE, path, max_pixels), np.uint8)
    return levels


def decode_stored(data: bytes, path: str | Path, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    """The image that was read from `path`, uint8 or uint16, neither turned nor reduced to fewer bits.

    Returns:
        Gray [H, W], or [H, W, channels] with blue first; a palette is looked up.

    Raises:
        InputError: it is not an image, or one of more than `max_pixels`.
    """
    levels = _png_levels(data, path, max_pixels)
    return _decode(data, cv2.IMREAD_UNCHANGED, path, max_pixels) if levels is None else levels


def encode_image(image: NDArray[np.unsignedinteger[Any]], suffix: str = ".png") -> bytes:
    """Encode an image, gray [H, W], RGB [H, W, 3] or RGBA [H, W, 4], in the format `suffix` names.

    It is uint8, or for PNG also uint16.
    """
    if image.ndim == 3:
        order = (2, 1, 0, 3)[: image.shape[2]]
        image = np.ascontiguousarray(image[..., order])
    _, data = cv2.imencode(suffix, image)
    return data.tobytes()


def encode_deep_image(image: NDArray[np.unsignedinteger[Any]], tags: Tags) -> bytes:
    """Encode an image, RGB [H, W, 3] or RGBA [H, W, 4], as a PNG of 16 bits that says what its codes mean."""
    deep = image if image.dtype == np.uint16 else image * np.uint16(257)
    return png.with_colours(encode_image(deep), tags.primaries, tags.transfer)


def write_image(path: str | Path, image: NDArray[np.uint8]) -> None:
    """Write a uint8 image, gray [H, W], RGB [H, W, 3] or RGBA [H, W, 4], in the format of the suffix.

    Raises:
        InputError: the file cannot be written, or its suffix is not an image format.
    """
    check_image_suffix(path)
    _write_bytes(path, encode_image(image, Path(path).suffix))


def check_image_suffix(path: str | Path) -> None:
    """Refuse a path whose suffix names no image format.

    Raises:
        InputError: it does not.
    """
    if Path(path).suffix.lower() not in IMAGE_SUFFIXES:
        raise InputError(f"{path}: not an image format; use one of {', '.join(sorted(IMAGE_SUFFIXES))}")


def read_palette(path: str | Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read the indices of a palette PNG as uint8 [H, W], without looking up their colours.

    Raises:
        InputError: the file is missing or not a palette PNG.
    """
    return decode_palette(read_bytes(path), path, max_pixels)


def decode_palette(data: bytes, path: str | Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """The indices, uint8 [H, W], of the palette PNG that was read from `path`.

    Raises:
        InputError: it is not a palette PNG, or one of more than `max_pixels`.
    """
    _check_stated(data, path, max_pixels)
    try:
        file = png.parse(data)
    except ValueError:
        raise InputError(f"{path}: not a whole PNG; give a palette PNG") from None
    if file.kind.colour_type != png.PALETTE:
        raise InputError(f"{path}: a PNG without a palette; give a palette PNG or read it as gray")
    indices = png.decode_samples(file)
    if indices is None:
        # A palette PNG differs from a gray one by its colour type and the palette: libpng undoes the rest,
        # and stretches gray of 1, 2 or 4 bits to 0..255.
        levels = _decode(png.recolour(file, png.GRAY), cv2.IMREAD_UNCHANGED, path, max_pixels)
        indices = np.asarray(levels // (255 // (2**file.kind.depth - 1)), np.uint8)
    return indices


def encode_palette(indices: NDArray[np.uint8], palette: NDArray[np.uint8] = DAVIS_PALETTE) -> bytes:
    """Encode uint8 indices [H, W] as a palette PNG of 8 bits with `palette`, uint8 RGB [256, 3]."""
    return png.recolour(png.parse(encode_image(indices)), png.PALETTE, palette.tobytes())


def write_palette(path: str | Path, indices: NDArray[np.uint8], palette: NDArray[np.uint8] = DAVIS_PALETTE) -> None:
    """Write uint8 indices [H, W] as a palette PNG of 8 bits with `palette`, uint8 RGB [256, 3].

    Raises:
        InputError: the file cannot be written.
    """
    _write_bytes(path, encode_palette(indices, palette))


def image_size(path: str | Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Size (width, height) of an image, from the header where that is quick and certain.

    A header states the size before the EXIF orientation, so what carries any EXIF is decoded.

    Raises:
        InputError: the file is missing, not an image, or one of more than `max_pixels`.
    """
    head = read_bytes(path, _HEAD)
    size = _stored_size(head)
    if size is None or _may_be_turned(head):
        height, width = read_image(path, max_pixels).shape[:2]
        return width, height
    _check_pixels(size, path, max_pixels)
    return size


def _write_bytes(path: str | Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        try:
            temporary.write_bytes(data)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); make room") from error


def _png_levels(data: bytes, path: str | Path, max_pixels: int) -> NDArray[np.uint8] | None:
    """Levels of a gray PNG where that needs no full decoder; see `png.decode_gray`."""
    _check_stated(data, path, max_pixels)
    return png.decode_gray(data)


def _decode(data: bytes, mode: int, path: str | Path, max_pixels: int = MAX_PIXELS) -> NDArray[Any]:
    _check_stated(data, path, max_pixels)
    try:
        # An empty buffer is an exception in OpenCV, and so are too many pixels; what else is no image is None.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), mode) if data else None
    except cv2.error as error:
        raise InputError(f"{path}: an image of more pixels than OpenCV takes; make it smaller") from error
    if image is None:
        raise InputError(f"{path}: not an image that can be read; replace or remove it")
    return image


def _check_stated(data: bytes, path: str | Path, max_pixels: int) -> None:
    size = _stored_size(data[:_HEAD])
    if size is not None:
        _check_pixels(size, path, max_pixels)


def _check_pixels(size: tuple[int, int], path: str | Path, max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise InputError(
            f"{path}: an image of {size[0]} x {size[1]}, which is more than {max_pixels} pixels; make it smaller"
        )


def _stored_size(head: bytes) -> tuple[int, int] | None:
    """Size (width, height) that the header of an image states, None where it is not found."""
    return png.peek_size(head) or _jpeg_size(head) or _bmp_size(head) or _webp_size(head)


def _may_be_turned(head: bytes) -> bool:
    """Whether an image may have an EXIF orientation; WebP says in its header that EXIF comes at the end."""
    is_extended_webp = head[8:16] == b"WEBPVP8X"
    return b"Exif\0" in head or b"eXIf" in head or (is_extended_webp and bool(head[20] & 0x08))


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    if not head.startswith(b"\xff\xd8"):
        return None
    position = 2
    while position + 9 <= len(head) and head[position] == 0xFF:
        marker, length = head[position + 1], int.from_bytes(head[position + 2 : position + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a start of frame, of any coding
            height, width = struct.unpack_from(">HH", head, position + 5)
            return width, height
        position += 2 + length
    return None


def _bmp_size(head: bytes) -> tuple[int, int] | None:
    if not head.startswith(b"BM") or len(head) < 26 or int.from_bytes(head[14:18], "little") < 40:
        return None
    width, height = struct.unpack_from("<ii", head, 18)
    return width, abs(height)  # rows go upwards, or downwards if it is negative


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """RFC 9649, section 2."""
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    if head[12:16] == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", head, 26)
    return width & 0x3FFF, height & 0x3FFF  # above are factors for enlarging

"""PNG files chunk by chunk, and their gray levels or palette indices at several times libpng's speed.

Inflating is the lesser part of decoding a mask; zlib-ng, where it is installed (the extra `fast`), makes it
smaller still, with the same bytes.
"""

from __future__ import annotations

import struct
import zlib
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

GRAY, PALETTE = 0, 3
"""PNG colour types."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = ">IIBBBBB"
_HEAD = 33  # bytes of the signature and the header's chunk
_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)  # filters of a row
_MOST_SAMPLES = 1 << 23  # sums of so many bytes stay within 32 bits
_NOT_AS_STORED = frozenset({b"acTL", b"eXIf", b"tRNS"})  # animation, orientation, transparency


def _fastest_zlib() -> ModuleType:
    try:
        return import_module("zlib_ng.zlib_ng")
    except ImportError:
        return zlib


_zlib = _fastest_zlib()


class Kind(NamedTuple):
    """What a PNG's header says of its samples: bits a sample, and the colour type."""

    depth: int
    colour_type: int


class Png(NamedTuple):
    """A PNG's header and content.

    Attributes:
        width: in pixels.
        height: in pixels.
        kind: bits a sample and colour type.
        plain: whether it is neither interlaced nor of another compression or filter method than the usual.
        chunks: content by type, several IDAT chunks joined.
    """

    width: int
    height: int
    kind: Kind
    plain: bool
    chunks: dict[bytes, bytes]


def peek_kind(data: bytes) -> Kind | None:
    """Kind of the PNG that starts with `data`, without a check of the rest; None if it is no PNG."""
    if not data.startswith(_SIGNATURE) or len(data) < 26:
        return None
    return Kind(data[24], data[25])


def peek_size(data: bytes) -> tuple[int, int] | None:
    """Size (width, height) of the PNG that starts with `data`, as stored; None if it is none."""
    if not data.startswith(_SIGNATURE) or len(data) < 24:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    return width, height


def parse(data: bytes) -> Png:
    """Take a PNG apart.

    Raises:
        ValueError: it is no PNG, or not whole: a chunk is cut off or differs from its checksum.
    """
    if not data.startswith(_SIGNATURE):
        raise ValueError("no PNG signature")
    chunks: dict[bytes, list[bytes]] = {}
    position, kind = len(_SIGNATURE), b""
    try:
        while kind != b"IEND":
            length, kind = struct.unpack_from(">I4s", data, position)
            content = data[position + 8 : position + 8 + length]
            (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
            if _zlib.crc32(content, _zlib.crc32(kind)) != checksum:
                raise ValueError(f"damaged chunk {kind!r}")
            chunks.setdefault(kind, []).append(content)
            position += 12 + length
        joined = {kind: b"".join(contents) for kind, contents in chunks.items()}
        width, height, depth, colour_type, *methods = struct.unpack(_HEADER, joined[b"IHDR"])
    except (KeyError, struct.error):
        raise ValueError("not a whole PNG") from None
    return Png(width, height, Kind(depth, colour_type), not any(methods), joined)


def decode_samples(png: Png) -> NDArray[np.uint8] | None:
    """Gray levels or palette indices as they are stored: uint8 [H, W], of 1, 2, 4 or 8 bits.

    Returns:
        None where it takes a full decoder, which also tells whether the image data are damaged: other kinds
        of PNG, and filters that only a loop over all pixels undoes.
    """
    depth, colour_type = png.kind
    if colour_type not in (GRAY, PALETTE) or depth not in (1, 2, 4, 8) or not png.plain:
        return None
    if not 0 < png.width * png.height <= _MOST_SAMPLES:
        return None
    stride = 1 + -(-png.width * depth // 8)
    rows = _inflate(png.chunks.get(b"IDAT", b""), png.height * stride)
    image = None if rows is None else _unfilter(rows.reshape(png.height, stride))
    if image is None or depth == 8:
        return image
    shifts = np.arange(8 - depth, -1, -depth, dtype=np.uint8)
    samples = image[..., None] >> shifts & np.uint8(2**depth - 1)
    return np.ascontiguousarray(samples.reshape(png.height, -1)[:, : png.width])


def decode_gray(data: bytes) -> NDArray[np.uint8] | None:
    """Levels of a gray PNG, stretched to 0..255 if it has less than 8 bits: uint8 [H, W].

    Returns:
        None where it takes a full decoder (see `decode_samples`), and for anything else, damaged or not.
    """
    kind = peek_kind(data)
    if kind is None or kind.colour_type != GRAY:
        return None
    try:
        png = parse(data)
    except ValueError:
        return None
    levels = None if _NOT_AS_STORED & png.chunks.keys() else decode_samples(png)
    return levels if levels is None or kind.depth == 8 else levels * np.uint8(255 // (2**kind.depth - 1))


def recolour(png: Png, colour_type: int, palette: bytes | None = None) -> bytes:
    """The file of a PNG of which only the colour type and the palette are replaced."""
    header = bytearray(png.chunks[b"IHDR"])
    header[9] = colour_type
    chunks = [(b"IHDR", bytes(header)), (b"IDAT", png.chunks.get(b"IDAT", b"")), (b"IEND", b"")]
    if palette is not None:
        chunks.insert(1, (b"PLTE", palette))
    return b"".join((_SIGNATURE, *(_chunk(kind, content) for kind, content in chunks)))


def signed(data: bytes) -> bytes:
    """The file of a PNG with the text `Software: Isomer`, by which what this program wrote is known."""
    return data[:_HEAD] + _signature() + data[_HEAD:]


def with_colours(data: bytes, primaries: int, transfer: int) -> bytes:
    """The file of a PNG of R'G'B' with its primaries and transfer, numbers of ITU-T H.273, in a chunk cICP."""
    return data[:_HEAD] + _chunk(b"cICP", bytes((primaries, transfer, 0, 1))) + data[_HEAD:]


def is_signed(path: Path) -> bool:
    """Whether the file is a PNG that is `signed`.

    Raises:
        OSError: it cannot be read.
    """
    signature = _signature()
    with path.open("rb") as file:
        head = file.read(_HEAD + len(signature))
    return head.startswith(_SIGNATURE) and head.endswith(signature)


def _signature() -> bytes:
    return _chunk(b"tEXt", b"Software\0Isomer")


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = _zlib.crc32(content, _zlib.crc32(kind))
    return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", checksum)


def _inflate(data: bytes, size: int) -> NDArray[np.uint8] | None:
    """The `size` bytes that `data` inflates to; None if it is another number or the checksum is wrong."""
    stream = _zlib.decompressobj()
    try:
        content = stream.decompress(data, size + 1)
    except _zlib.error:
        return None
    return np.frombuffer(content, np.uint8) if len(content) == size and stream.eof else None


def _unfilter(rows: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Undo the filters of rows uint8 [H, 1 + W] of a byte a pixel, the filter first: uint8 [H, W].

    PNG specification, section 9. None if a row has the filter Average or too many Paeth rows are not flat.
    """
    filters = rows[:, 0].copy()
    if filters[0] in (_UP, _PAETH):  # the row above is 0
        filters[0] = _NONE if filters[0] == _UP else _SUB
    if (filters == _AVERAGE).any() or filters.max() > _PAETH:
        return None
    summed = filters == _SUB
    if summed.all():
        return _running_sums(rows[:, 1:])
    image = rows.copy()
    image[:, 0] = 0  # a column left of the image, as the filters see it
    if summed.any():
        image[summed, 1:] = _running_sums(rows[summed, 1:])
    patience = len(rows)
    for row in np.flatnonzero(filters >= _UP).tolist():
        above, here = image[row - 1], image[row]
        if filters[row] == _UP:
            np.add(above, here, here)
        else:
            patience -= _undo_paeth(above, here, patience)
            if patience < 0:
                return None
    return np.ascontiguousarray(image[:, 1:])


def _running_sums(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Sums, modulo 256, of each row's values up to each column."""
    sums = cv2.integral(rows)[:, 1:].astype(np.uint8)
    return np.asarray(sums[1:] - sums[:-1], np.uint8)


def _undo_paeth(above: NDArray[np.uint8], here: NDArray[np.uint8], most: int) -> int:
    """Undo the filter Paeth of `here` in place, and say at how many columns that took a step.

    Where nothing is added and the row above stays level, the left pixel is predicted and repeats: only the
    other columns take a step. More than `most` are not done.
    """
    changes = here != 0
    changes[1:] |= above[1:] != above[:-1]
    columns = np.flatnonzero(changes)
    if not 0 < columns.size <= most:
        return columns.size
    starts = columns.tolist()
    filtered, upper, left = here.tobytes(), above.tobytes(), 0
    for start, end in zip(starts, [*starts[1:], len(here)], strict=True):
        up, corner = upper[start], upper[start - 1]
        to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
        if to_left <= to_up and to_left <= to_corner:
            predicted = left
        else:
            predicted = up if to_up <= to_corner else corner
        left = filtered[start] + predicted & 255
        here[start:end] = left
    return columns.size

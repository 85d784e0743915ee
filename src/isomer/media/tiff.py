"""TIFF images of 16 bits, written: OpenCV encodes, and what it leaves out of the directory is added; TIFF 6.0."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_MAGIC = b"II*\0"  # of both byte orders OpenCV writes this one
_DEFLATE = 8
_SIGNATURE = b"Isomer\0\0"
"""Of who made a file, at its very end."""
_ASCII, _SHORT, _RATIONAL = 2, 3, 5
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _SOFTWARE, _EXTRA_SAMPLES = 282, 283, 296, 305, 338
_PREMULTIPLIED, _STRAIGHT = 1, 2


def encode(
    image: NDArray[np.unsignedinteger[Any]], *, premultiplied: bool = False, pixel_aspect: Fraction = Fraction(1)
) -> bytes:
    """Encode RGBA, uint8 or uint16 [H, W, 4], with 16 bits a channel.

    Args:
        image: what is encoded.
        premultiplied: whether its colours are multiplied with its opacity, as the file then says.
        pixel_aspect: width of its pixels over their height.
    """
    deep = image if image.dtype == np.uint16 else image * np.uint16(257)
    _, encoded = cv2.imencode(".tiff", deep[..., (2, 1, 0, 3)], (cv2.IMWRITE_TIFF_COMPRESSION, _DEFLATE))
    data = encoded.tobytes()
    data += bytes(len(data) % 2)  # directories begin at even bytes
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = {entry[0]: entry for entry in struct.iter_unpack("<HHI4s", data[start + 2 : start + 2 + 12 * count])}
    across, down = len(data), len(data) + 8
    directory = down + 8
    added = (_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _SOFTWARE, _EXTRA_SAMPLES)
    end = directory + 2 + 12 * len({*entries, *added}) + 4
    for tag, kind, length, value in (
        (_X_RESOLUTION, _RATIONAL, 1, across),
        (_Y_RESOLUTION, _RATIONAL, 1, down),
        (_RESOLUTION_UNIT, _SHORT, 1, 1),  # none: only their ratio counts
        (_SOFTWARE, _ASCII, len(_SIGNATURE) - 1, end),
        (_EXTRA_SAMPLES, _SHORT, 1, _PREMULTIPLIED if premultiplied else _STRAIGHT),
    ):
        entries[tag] = (tag, kind, length, struct.pack("<I", value))
    resolutions = struct.pack("<4I", pixel_aspect.denominator, 1, pixel_aspect.numerator, 1)
    packed = b"".join(struct.pack("<HHI4s", *entries[tag]) for tag in sorted(entries))
    head = _MAGIC + struct.pack("<I", directory)
    return b"".join((head, data[8:], resolutions, struct.pack("<H", len(entries)), packed, bytes(4), _SIGNATURE))


def is_signed(path: Path) -> bool:
    """Whether a file is a TIFF image that `encode` made.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return False
        file.seek(-len(_SIGNATURE), 2)
        return file.read() == _SIGNATURE

"""OpenEXR images, written: half floats, a part of scan lines, ZIP compression; "OpenEXR File Layout" of the format."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_MAGIC = struct.pack("<II", 20_000_630, 2)
_HALF, _ZIP = 1, 3
_LINES = 16
"""Scan lines that are compressed together."""
_LEVEL = 4  # of 9; more makes files hardly smaller
_BT709 = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)
"""Chromaticities x and y of red, green, blue and white."""


def encode(light: NDArray[np.float32], pixel_aspect: float = 1) -> bytes:
    """Encode linear RGB [H, W, 3] of BT.709, or RGBA [H, W, 4] with premultiplied alpha.

    Args:
        light: the image.
        pixel_aspect: width of its pixels over their height.
    """
    height, width, count = light.shape
    names = "RGBA"[:count]
    order = sorted(range(count), key=lambda channel: names[channel])
    channels = b"".join(names[channel].encode() + struct.pack("<xIIii", _HALF, 0, 1, 1) for channel in order)
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    header = (
        _MAGIC
        + _signature()
        + b"".join(
            _attribute(*attribute)
            for attribute in (
                ("channels", "chlist", channels + b"\0"),
                ("chromaticities", "chromaticities", struct.pack("<8f", *_BT709)),
                ("compression", "compression", bytes([_ZIP])),
                ("dataWindow", "box2i", window),
                ("displayWindow", "box2i", window),
                ("lineOrder", "lineOrder", b"\0"),
                ("pixelAspectRatio", "float", struct.pack("<f", pixel_aspect)),
                ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
                ("screenWindowWidth", "float", struct.pack("<f", 1)),
            )
        )
        + b"\0"
    )
    lines = np.ascontiguousarray(light[..., order].transpose(0, 2, 1), "<f2")  # a channel after the other, by line
    blocks = []
    for top in range(0, height, _LINES):
        block = _compressed(lines[top : top + _LINES].tobytes())
        blocks.append(struct.pack("<ii", top, len(block)) + block)
    start = len(header) + 8 * len(blocks)
    offsets = start + np.cumsum([0, *map(len, blocks[:-1])])
    return b"".join((header, offsets.astype("<u8").tobytes(), *blocks))


def is_signed(path: Path) -> bool:
    """Whether a file is an EXR image that `encode` made.

    Raises:
        OSError: it cannot be read.
    """
    signature = _MAGIC + _signature()
    with path.open("rb") as file:
        return file.read(len(signature)) == signature


def _signature() -> bytes:
    return _attribute("software", "string", b"Isomer")


def _attribute(name: str, kind: str, value: bytes) -> bytes:
    return f"{name}\0{kind}\0".encode() + struct.pack("<I", len(value)) + value


def _compressed(content: bytes) -> bytes:
    """Compress as OpenEXR does: the lower bytes, then the higher ones, each as the difference from the one before."""
    pairs = np.frombuffer(content, np.uint8)
    apart = np.concatenate((pairs[::2], pairs[1::2]))
    differences = np.diff(apart, prepend=np.uint8(0)) + np.uint8(128)
    differences[0] = apart[0]
    compressed = zlib.compress(differences.tobytes(), _LEVEL)
    return compressed if len(compressed) < len(content) else content

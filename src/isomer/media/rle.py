"""Run-length encoding of masks: as in COCO, runs down the columns compressed to a string; and as in Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray


class RLE(TypedDict):
    """A mask as COCO's JSON holds it.

    Attributes:
        size: [height, width].
        counts: lengths of runs of 0 and 1 in turn, first of 0, in column-major order, compressed.
    """

    size: list[int]
    counts: str


def encode_rle(mask: NDArray[np.uint8]) -> RLE:
    """Encode a mask, uint8 [H, W], of which all but 0 is object."""
    pixels = np.ravel(mask != 0, order="F")
    changes = np.flatnonzero(np.diff(pixels, prepend=False))
    counts = np.diff(changes, prepend=0, append=pixels.size)
    return {"size": list(mask.shape), "counts": compress_counts(counts.tolist())}


def decode_rle(size: Sequence[int], counts: str | Sequence[int]) -> NDArray[np.uint8]:
    """Decode a mask to uint8 0/1 [H, W]; `counts` may be compressed or plain.

    Raises:
        ValueError: the runs do not make up a mask of this size.
    """
    height, width = size
    runs = np.array(decompress_counts(counts) if isinstance(counts, str) else counts, np.int64)
    if runs.ndim != 1 or (runs < 0).any() or sum(runs.tolist()) != height * width:
        raise ValueError(f"runs do not make up {width}x{height} pixels")
    values = np.arange(len(runs)) % 2
    return np.ascontiguousarray(np.repeat(values.astype(np.uint8), runs).reshape(width, height).T)


def compress_counts(counts: Sequence[int]) -> str:
    """Compress runs as COCO does: each less the one two before, in digits of five bits, lowest first.

    A digit is the character 48 + its bits, + 32 where more follow; the last one's bit 4 is the sign.
    """
    characters = []
    for index, count in enumerate(counts):
        rest = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            digit = rest & 0x1F
            rest >>= 5
            more = rest != (-1 if digit & 0x10 else 0)
            characters.append(48 + digit + 32 * more)
    return bytes(characters).decode("ascii")


def decompress_counts(text: str) -> list[int]:
    """Undo `compress_counts`.

    Raises:
        ValueError: the text is cut or holds other characters.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > 60:
            raise ValueError("not a compressed run-length encoding")
        value |= (digit & 0x1F) << shift
        shift += 5
        if digit & 0x20:
            continue
        if digit & 0x10:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("a cut run-length encoding")
    return counts


def encode_brush(mask: NDArray[np.uint8]) -> bytes:
    """Encode a mask, uint8 [H, W], of which all but 0 is object, as a brush of Label Studio: runs along the rows.

    The format is that of the JavaScript package @thi.ng/rle-pack, of bytes of RGBA images: 32 bits of their number, 5
    of a byte's width less one, 4 times 4 of the widths less one that lengths may have; then of each run a 1, two bits
    that choose the width of its length, its length less one, its byte.
    """
    widths = (4, 8, 12, 16)
    pixels = np.ravel(mask != 0)
    starts = np.flatnonzero(np.diff(pixels, prepend=~pixels[:1]))
    lengths = 4 * np.diff(starts, append=pixels.size)
    bits = [f"{4 * pixels.size:032b}{7:05b}", *(f"{width - 1:04b}" for width in widths)]
    for is_object, length in zip(pixels[starts].tolist(), lengths.tolist(), strict=True):
        for left in range(length, 0, -(1 << widths[-1])):
            rest = min(left, 1 << widths[-1]) - 1
            choice = next(choice for choice, width in enumerate(widths) if rest < 1 << width)
            bits.append(f"1{choice:02b}{rest:0{widths[choice]}b}{255 * is_object:08b}")
    text = "".join(bits)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")

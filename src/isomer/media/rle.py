"""Run-length encoding of masks as in COCO: runs down the columns, compressed to a string."""

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

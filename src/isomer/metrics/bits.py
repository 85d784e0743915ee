"""Masks as packed bits: 64 pixels a word, so that counting, shifting and dilating cost microseconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
"""uint64 [..., H, ceil(W / 64)]: bit b of word k is the pixel of column 64 k + b; bits beyond W are 0."""

_WORD = 64


def pack_above(images: Sequence[NDArray[np.uint8]], thresholds: Sequence[int]) -> Words:
    """Pack `image > threshold` of images [H, W] of one size into words [len(images), H, ceil(W / 64)]."""
    height, width = images[0].shape
    words = -(-width // _WORD)
    masks = np.empty((len(images), height, words * _WORD), bool)
    masks[..., width:] = False
    for mask, image, threshold in zip(masks, images, thresholds, strict=True):
        np.greater(image, threshold, out=mask[:, :width])
    packed = np.packbits(masks, bitorder="little").view("<u8")
    return np.asarray(packed.reshape(len(images), height, words), np.uint64)


def unpack(words: Words, width: int) -> NDArray[np.bool_]:
    """Unpack words [..., H, ceil(W / 64)] into masks [..., H, W]."""
    return np.unpackbits(words.view(np.uint8), axis=-1, count=width, bitorder="little").astype(bool)


def count(words: Words) -> int:
    """Number of set bits."""
    return int(np.bitwise_count(words).sum(dtype=np.int64))


def boundaries(masks: Words, width: int) -> Words:
    """Boundary maps of masks [..., H, words] of `width` columns.

    A pixel is on the boundary if it differs from its right, lower or lower right neighbour. The last column
    is compared with the row below only, the last row with the column to the right only.
    """
    right = masks >> np.uint64(1)
    right[..., :-1] |= masks[..., 1:] << np.uint64(_WORD - 1)
    differs: Words = masks ^ right
    differs[..., :-1, :] |= masks[..., :-1, :] ^ right[..., 1:, :]
    last_word, last_bit = divmod(width - 1, _WORD)
    differs[..., last_word] &= np.uint64((1 << last_bit) - 1)
    differs[..., :-1, :] |= masks[..., :-1, :] ^ masks[..., 1:, :]
    return differs


def crop(masks: Words) -> Words:
    """The smallest block of rows and words that holds every set bit of masks [N, H, words]; may be empty."""
    union = np.bitwise_or.reduce(masks, axis=0)
    rows = np.flatnonzero(union.any(axis=1))
    columns = np.flatnonzero(union.any(axis=0))
    if not rows.size:
        return masks[:, :0, :0]
    return np.ascontiguousarray(masks[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def dilate_disk(masks: Words, radius: int) -> Words:
    """Dilate masks [N, H, words] by the disk x^2 + y^2 <= radius^2; bits past the last column may be set."""
    count_, height, words = masks.shape
    # With this many empty bits after each row, a horizontal shift of all rows in one go never reaches another
    # row.
    margin = -(-radius // _WORD)
    rows = np.zeros((count_, height, words + margin), np.uint64)
    rows[..., :words] = masks
    out = np.zeros_like(rows)
    reach = 0
    for half_width, offsets in _disk_rows(radius):
        while reach < half_width:
            step = min(half_width - reach, 2 * reach + 1, _WORD - 1)
            rows = _widen(rows, step)
            reach += step
        for offset in offsets:
            if offset == 0:
                out |= rows
            elif offset < height:
                out[:, offset:] |= rows[:, :-offset]
                out[:, :-offset] |= rows[:, offset:]
    return out[..., :words]


def _disk_rows(radius: int) -> list[tuple[int, list[int]]]:
    """Rows of the disk as (half width, rows above and below the centre that have it), narrowest first."""
    rows: dict[int, list[int]] = {}
    for offset in range(radius + 1):
        half_width = int((radius * radius - offset * offset) ** 0.5)
        rows.setdefault(half_width, []).append(offset)
    return sorted(rows.items())


def _widen(rows: Words, step: int) -> Words:
    """Or of rows and rows shifted left and right by `step` < 64 bits, over the flattened array."""
    flat = rows.reshape(-1)
    near, far = np.uint64(step), np.uint64(_WORD - step)
    out = flat << near
    out |= flat
    out |= flat >> near
    out[1:] |= flat[:-1] >> far
    out[:-1] |= flat[1:] << far
    return np.asarray(out.reshape(rows.shape), np.uint64)

"""An image of a mask: what it holds, and whether the mask is in its opacity."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.media import png
from isomer.media.image import MAX_PIXELS, decode_palette, decode_stored

VOID = 255
"""Index of a palette by which, beside objects of other numbers, an annotation leaves open what is at a pixel."""


class MaskImage(NamedTuple):
    """What an image holds, neither turned nor reduced to fewer bits.

    Attributes:
        levels: uint8 or uint16, gray [H, W] or blue, green, red [H, W, 3]; with a palette, its indices.
        alpha: opacity [H, W], of the type of the levels; None for gray and palettes.
        palette: red, green, blue of each index; None for levels that are no indices.
    """

    levels: NDArray[Any]
    alpha: NDArray[Any] | None = None
    palette: bytes | None = None

    @property
    def begins_with_black(self) -> bool:
        """Whether index 0 of the palette looks like background."""
        return self.palette is not None and not self.palette[:3].strip(b"\0")


def decode_mask(data: bytes, path: str | Path, max_pixels: int = MAX_PIXELS) -> MaskImage:
    """Decode the image of a mask that was read from `path`.

    A palette of which entries other than the first and `VOID` are transparent is one of colours, not of objects.

    Raises:
        InputError: it is not an image, one of fractions, or of more than `max_pixels`.
    """
    kind = png.peek_kind(data)
    if kind is not None and kind.colour_type == png.PALETTE:
        indices = decode_palette(data, path, max_pixels)
        chunks = png.parse(data).chunks
        if not chunks.get(b"tRNS", b"")[1:VOID].strip(b"\xff"):
            return MaskImage(indices, palette=chunks.get(b"PLTE", b""))
    image = decode_stored(data, path, max_pixels)
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: an image of {image.dtype}; a mask has 8 or 16 bits a channel, convert it")
    if image.ndim == 2:
        return MaskImage(image)
    if image.shape[2] == 4:
        return MaskImage(image[..., :3], image[..., 3])
    # Some writers leave the opacity out where all is opaque.
    return MaskImage(image, np.full(image.shape[:2], np.iinfo(image.dtype).max, image.dtype))


def alpha_is_mask(alphas: Iterable[NDArray[Any] | None]) -> bool:
    """Tell whether the opacity of a sequence's frames is their mask: it is unless it is the same everywhere."""
    seen: set[int] = set()
    for alpha in alphas:
        if alpha is not None:
            seen |= {int(alpha.min()), int(alpha.max())}
        if len(seen) > 1:
            return True
    return False


def is_lossy(data: bytes) -> bool:
    """Tell whether an image's compression changes its levels: JPEG, and WebP but for its lossless kind."""
    return data.startswith(b"\xff\xd8") or (data[8:12] == b"WEBP" and b"VP8L" not in data)

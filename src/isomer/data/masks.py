"""Mask files of data sets: gray levels, never those of what a picture shows beneath its opacity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.media import png
from isomer.media.image import MAX_PIXELS, decode_gray, read_bytes
from isomer.media.mask_image import decode_mask

_WITH_ALPHA = (4, 6)  # colour types of PNG


def read_levels(path: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a mask as uint8 gray [H, W]; colours become luma.

    Raises:
        InputError: the file is no image, or its opacity, which differs, may be the mask.
    """
    data = read_bytes(path)
    kind = png.peek_kind(data)
    if kind is not None and kind.colour_type in _WITH_ALPHA:
        alpha = decode_mask(data, path, max_pixels).alpha
        if alpha is not None and alpha.min() != alpha.max():
            raise InputError(f"{path}: a mask with transparent parts; take it from them first, with isomer convert")
    return decode_gray(data, path, max_pixels)

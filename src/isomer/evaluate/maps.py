"""Reading predictions and annotations, strictly."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.media import png
from isomer.media.image import decode_palette, decode_stored, read_bytes

_COLOURS = {0: "gray", 2: "RGB", 3: "palette", 4: "gray with alpha", 6: "RGBA"}


class Annotation(NamedTuple):
    """An annotation's foreground.

    Attributes:
        levels: uint8 [H, W]; of a palette or colour image, 255 where there is any object, else 0.
        unexpected: levels other than 0 and 255 in a gray image, at most eight of them.
    """

    levels: NDArray[np.uint8]
    unexpected: tuple[int, ...]


def read_prediction(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit gray map: uint8 [H, W].

    Raises:
        InputError: the file cannot be read or is not 8-bit gray.
    """
    data = read_bytes(path)
    kind = png.peek_kind(data)
    if kind is not None and kind != (8, png.GRAY):
        what = f"{kind.depth}-bit {_COLOURS.get(kind.colour_type, 'unknown')}"
        raise InputError(f"{path}: a {what} PNG; a prediction has to be 8-bit gray, convert it")
    image = decode_stored(data, path)
    if image.ndim != 2 or image.dtype != np.uint8:
        channels = 1 if image.ndim == 2 else image.shape[2]
        raise InputError(f"{path}: {channels} channels of {image.dtype}; a prediction has to be 8-bit gray, convert it")
    return image


def read_annotation(path: Path) -> Annotation:
    """Read an annotation, several objects merged into one foreground.

    A palette PNG is foreground where its index, a colour image where any channel, is not 0.

    Raises:
        InputError: the file cannot be read or has other than 8 bits a channel.
    """
    data = read_bytes(path)
    kind = png.peek_kind(data)
    if kind is not None and kind.colour_type == png.PALETTE:
        return Annotation(_foreground(decode_palette(data, path)), ())
    image = decode_stored(data, path)
    if image.dtype != np.uint8:
        raise InputError(f"{path}: an annotation of {image.dtype}; it has to have 8 bits a channel, convert it")
    if image.ndim == 3:
        return Annotation(_foreground(image[..., :3].max(axis=2)), ())
    return Annotation(image, _unexpected(image))


def _foreground(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.threshold(image, 0, 255, cv2.THRESH_BINARY)[1], np.uint8)


def _unexpected(image: NDArray[np.uint8]) -> tuple[int, ...]:
    between = cv2.inRange(image, 1, 254)
    if not cv2.countNonZero(between):
        return ()
    return tuple(int(level) for level in np.unique(image[between > 0])[:8])

"""How objects look: by their colours, which tell one from another where shape and motion do not."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SHAPE = (8, 16, 16)
"""Bins of lightness, and of the two axes of colour."""
_REACH = 64
"""How far from gray, in Lab's units, colours have bins of their own; few things are more colourful."""
_MIX = (0.25, 0.5, 0.25)
"""What neighbouring bins have of a pixel: light changes."""

COLOURS = int(np.prod(_SHAPE))
"""How many colours are told apart."""

Colours = NDArray[np.uint16]
"""uint16 [H, W]: the number of each pixel's colour."""
Shares = NDArray[np.float32]
"""float32 [COLOURS]: what share of a thing has each colour; they sum to 1."""


def colours_of(image: NDArray[np.uint8], shape: tuple[int, ...]) -> Colours:
    """Number the colours of an RGB image [H, W, 3] shrunk to `shape`, (h, w): bins of CIE Lab."""
    height, width = shape
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    lightness, *axes = cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2Lab))
    numbers = (lightness // (256 // _SHAPE[0])).astype(np.uint16)
    for axis, count in zip(axes, _SHAPE[1:], strict=True):
        from_gray = np.clip(axis.astype(np.int16) - 128, -_REACH, _REACH - 1)
        numbers = numbers * count + ((from_gray + _REACH) // (2 * _REACH // count)).astype(np.uint16)
    return np.asarray(numbers, np.uint16)


def count_colours(colours: Colours) -> NDArray[np.float32]:
    """Count the pixels of each colour: float32 [COLOURS]."""
    return np.bincount(colours.ravel(), minlength=COLOURS).astype(np.float32)


def shares_of(counts: NDArray[np.float32]) -> Shares:
    """Turn counts of pixels into shares, with neighbouring colours mixed; of nothing, all are 0."""
    mixed = counts.reshape(_SHAPE)
    for axis in range(mixed.ndim):
        edges = [(1, 1) if other == axis else (0, 0) for other in range(mixed.ndim)]
        padded = np.pad(mixed, edges, mode="edge")
        steps = (np.take(padded, range(step, step + mixed.shape[axis]), axis) for step in range(3))
        mixed = np.sum([weight * part for weight, part in zip(_MIX, steps, strict=True)], axis=0)
    return np.asarray(mixed.ravel() / max(float(mixed.sum()), 1), np.float32)

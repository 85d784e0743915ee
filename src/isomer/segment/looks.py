"""How objects look: what tells one from another where shape and motion do not."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS = (8, 16, 16)
"""Bins of lightness and of the two axes of colour."""
_COLOURS = int(np.prod(_LEVELS))
_RANGE = 64
"""How far the colours that get bins of their own are from gray, in Lab's units; few things are more colourful."""
_BLUR = np.array((1, 2, 1), np.float32) / 4
"""Over neighbouring bins: light changes."""

Colours = NDArray[np.uint16]
"""uint16 [H, W]: the number of each pixel's colour."""


def colours_of(image: NDArray[np.uint8], shape: tuple[int, ...]) -> Colours:
    """Number the colours of an RGB image [H, W, 3], shrunk to `shape` (h, w): bins of CIE Lab."""
    height, width = shape[:2]
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    lightness, *axes = cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2Lab))
    numbers = (lightness >> 5).astype(np.uint16)
    for axis in axes:
        numbers = numbers * 16 + (np.clip(axis, 128 - _RANGE, 127 + _RANGE) - (128 - _RANGE) >> 3)
    return numbers


def count_colours(colours: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Count the pixels of each colour: float32 [C]."""
    return np.bincount(colours.ravel(), minlength=_COLOURS).astype(np.float32)


def shares(counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn counts into the share of each colour, neighbouring colours mixed: float32 [C], sums to 1."""
    mixed = counts.reshape(_LEVELS)
    for axis in range(3):
        padded = np.pad(mixed, [(1, 1) if other == axis else (0, 0) for other in range(3)], mode="edge")
        parts = (np.take(padded, np.arange(_LEVELS[axis]) + shift, axis) for shift in range(3))
        mixed = sum(weight * part for weight, part in zip(_BLUR, parts, strict=True))
    return np.asarray(mixed.ravel() / max(float(mixed.sum()), 1e-9), np.float32)


def difference(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return how differently two things look, by the shares of their colours: their Hellinger distance, in [0, 1]."""
    return float(np.sqrt(max(0.0, 1 - float(np.sqrt(first * second).sum()))))

"""Maps kept from one pass over a video to the next, compressed in a temporary file."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Probability = NDArray[np.float32]


class _Place(NamedTuple):
    shape: tuple[int, ...]
    size: int  # bytes in the file


class KeptMaps:
    """A list of maps, all written before they are read; iterating once ends it."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (it goes when nobody holds it)
        self._places: list[_Place] = []

    def add(self, probability: Probability) -> Probability:
        """Keep a map, float32 [h, w] in [0, 1], to 1 / 255; return it as it will be read."""
        levels = np.rint(probability * 255).astype(np.uint8)
        self._places.append(_Place(levels.shape, self._file.write(zlib.compress(levels.tobytes(), 1))))
        return _of(levels)

    def __iter__(self) -> Iterator[Probability]:
        self._file.seek(0)
        with self._file:
            for shape, size in self._places:
                yield _of(np.frombuffer(zlib.decompress(self._file.read(size)), np.uint8).reshape(shape))


def _of(levels: NDArray[np.uint8]) -> Probability:
    return np.divide(levels, 255, dtype=np.float32)

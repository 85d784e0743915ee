"""Arrays of frames that wait on the disk until all of a video is known."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError

_Kind = TypeVar("_Kind", np.uint8, np.uint16)


class Spool(Generic[_Kind]):
    """A list of arrays in a temporary file, which goes when the process ends, however it ends.

    Its memory does not grow with the size of the arrays. A context manager that closes the file.

    Args:
        kind: the type of the elements.

    Raises:
        InputError: the folder of temporary files is full (from `append`).
    """

    def __init__(self, kind: type[_Kind]) -> None:
        self._kind: type[_Kind] = kind
        self._file = tempfile.TemporaryFile(prefix="isomer-")  # noqa: SIM115
        self._places: list[tuple[int, int, tuple[int, ...]]] = []  # where each begins, its bytes, and its shape
        self._end = 0

    def append(self, values: NDArray[_Kind]) -> None:
        """Add an array."""
        data = zlib.compress(values.tobytes(), 1)
        try:
            self._file.seek(self._end)
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            where = tempfile.gettempdir()
            raise InputError(
                f"{where}: no room for temporary files ({error.strerror}); make some, or set TMPDIR"
            ) from error
        self._places.append((self._end, len(data), values.shape))
        self._end += len(data)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, position: int) -> NDArray[_Kind]:
        start, size, shape = self._places[position]
        self._file.seek(start)
        return np.frombuffer(zlib.decompress(self._file.read(size)), self._kind).reshape(shape)

    def __iter__(self) -> Iterator[NDArray[_Kind]]:
        return (self[position] for position in range(len(self)))

    def __enter__(self) -> Spool[_Kind]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def as_levels(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a map, float32 in [0, 1], as it is kept: 255 times the probability."""
    return np.rint(probability * 255).astype(np.uint8)


def from_levels(levels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the map that was kept, float32 in [0, 1]."""
    return np.divide(levels, 255, dtype=np.float32)

"""The budget of what the server keeps, and what the disk sets."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from isomer.serve.errors import StorageFullError


class Storage:
    """Says whether more can be kept.

    Args:
        most: bytes that may be kept.
        kept: says the bytes that are.
    """

    def __init__(self, most: int, kept: Callable[[], int]) -> None:
        self._most = most
        self._kept = kept
        self._reserved = 0

    @property
    def free(self) -> int:
        """Bytes that can be reserved."""
        return max(0, self._most - self._kept() - self._reserved)

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Hold room for this many bytes while they are written; afterwards they count as what they are.

        Raises:
            StorageFullError: there is no room for as much.
        """
        if self._kept() + self._reserved + size > self._most:
            raise StorageFullError
        self._reserved += size
        try:
            yield
        finally:
            self._reserved -= size


@contextmanager
def full_disk_said() -> Iterator[None]:
    """Tell a disk that is full, or a quota that is met, from other errors.

    Raises:
        StorageFullError: in place of an error, of the system or with one as its cause, that says so.
    """
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFullError from error
            cause = cause.__cause__
        raise

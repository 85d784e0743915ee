"""What the server cannot do for now, and may do later."""

from __future__ import annotations

from isomer.errors import InputError


class QueueFullError(RuntimeError):
    """As many jobs or results wait as may."""


class StorageFullError(InputError):
    """As much is kept as may be, or as the disk takes."""

    def __init__(self, reason: str = "the storage is full; try again when old jobs have expired") -> None:
        super().__init__(reason)

"""What the server cannot do for now, and what it says of its own faults."""

from __future__ import annotations

from isomer.errors import InputError

OUR_FAULT = "an error of the server; its log says more"


class QueueFullError(RuntimeError):
    """As many jobs or results wait as may."""


class StorageFullError(InputError):
    """As much is kept as may be, or as the disk takes."""

    def __init__(self, reason: str = "the storage is full; try again when old jobs have expired") -> None:
        super().__init__(reason)

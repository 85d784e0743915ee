"""What the server cannot do for now, and may do later."""

from __future__ import annotations


class QueueFullError(RuntimeError):
    """As many jobs or results wait as may."""


class StorageFullError(RuntimeError):
    """As much is kept as may be."""

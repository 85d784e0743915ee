"""What the server takes, and how long it keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from isomer.options import OptionGroup, option


@dataclass(frozen=True)
class Limits(OptionGroup):
    """Bounds on what clients may ask for; each is an option of `isomer serve` and `isomer demo`."""

    queue: int = option(8, "jobs that wait or upload at once; more are refused with 429", low=1)
    upload_mib: int = option(512, "size of an upload in MiB; more is refused with 413", low=1)
    upload_seconds: int = option(300, "time an upload may take; a slower one is refused with 408", low=1)
    frames: int = option(3000, "frames of a video", low=1)
    pixels: int = option(4096 * 2304, "pixels of a frame, width times height", low=1)
    job_seconds: int = option(3600, "time a job, or the writing of one result, may take", low=1)
    retention_seconds: int = option(3600, "time a finished job and its files are kept", low=1)
    storage_mib: int = option(20_480, "size of all that is kept, in MiB; with more, uploads get 507", low=1)
    connections: int = option(128, "connections served at once; more get 503", low=1)

"""What the server takes, and for how long it keeps it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields


def _limit(default: int, meaning: str) -> int:
    value: int = field(default=default, metadata={"help": meaning})
    return value


@dataclass(frozen=True)
class Limits:
    """Bounds on what clients may ask for; each is an option of `isomer serve` and `isomer demo`."""

    queue: int = _limit(8, "jobs that wait or upload at once; more are refused with 429")
    upload_mib: int = _limit(512, "size of an upload in MiB; more is refused with 413")
    upload_seconds: int = _limit(300, "time an upload may take; a slower one is refused with 408")
    frames: int = _limit(3000, "frames of a video")
    pixels: int = _limit(4096 * 2304, "pixels of a frame, width times height")
    job_seconds: int = _limit(3600, "time a job, or the writing of one result, may take")
    retention_seconds: int = _limit(3600, "time a finished job and its files are kept")
    storage_mib: int = _limit(20_480, "size of all that is kept, in MiB; with more, uploads get 507")
    connections: int = _limit(128, "connections served at once; more get 503")


def add_limit_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare one option a limit."""
    group = parser.add_argument_group("limits")
    for limit in fields(Limits):
        option = "--" + limit.name.replace("_", "-")
        group.add_argument(
            option,
            type=_positive,
            default=limit.default,
            metavar="N",
            help=f"{limit.metadata['help']} (default: %(default)s)",
        )


def limits_from(arguments: argparse.Namespace) -> Limits:
    """Read the options that `add_limit_arguments` declared."""
    return Limits(**{limit.name: getattr(arguments, limit.name) for limit in fields(Limits)})


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number

"""What the server takes, how long it keeps it, and the model that segments: values and their options."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields
from typing import TypeVar


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


@dataclass(frozen=True)
class ModelOptions:
    """What segments; see `isomer.segment.Segmenter`."""

    model: str = "isomer_mobilenet_v2"
    size: int = 384
    backend: str = "auto"
    device: str = "auto"
    key_interval: int = 6
    views: int = 1
    smoothing: float = 1.0


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


_Options = TypeVar("_Options", Limits, ModelOptions)


def chosen(options: type[_Options], arguments: argparse.Namespace) -> _Options:
    """Return the options of one kind as they were given."""
    return options(**{option.name: getattr(arguments, option.name) for option in fields(options)})


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number

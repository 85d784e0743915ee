"""Segmentation tasks for tests of the queue: each runs in the worker process in place of the real one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from isomer.errors import InputError
from isomer.media.image import encode_image
from isomer.options import VideoOptions
from isomer.serve.options import Limits
from isomer.serve.tasks import Finished

Report = Callable[[int, "int | None"], None]


def quick(folder: Path, options: VideoOptions, limits: Limits, report: Report) -> Finished:
    for done in range(4):
        report(done, 3)
    (folder / "preview.mp4").write_bytes(b"preview")
    return Finished(3, 96, 64, 25.0, None)


def noisy(folder: Path, options: VideoOptions, limits: Limits, report: Report) -> Finished:
    """Leave maps that hardly compress, of 10 frames."""
    (folder / "probabilities").mkdir()
    random = np.random.default_rng(0)
    for index in range(10):
        noise = random.integers(0, 256, (64, 96), np.uint8)
        (folder / "probabilities" / f"{index:05d}.png").write_bytes(encode_image(noise))
    return Finished(10, 96, 64, 25.0, None)


def endless(folder: Path, options: VideoOptions, limits: Limits, report: Report) -> Finished:
    report(0, None)
    (folder / "half-done").write_bytes(b"")
    time.sleep(600)
    raise AssertionError


def dying_at_first(folder: Path, options: VideoOptions, limits: Limits, report: Report) -> Finished:
    """Take the process down, as a codec would, but only for the server's first job."""
    if len(list(folder.parent.glob("*/job.json"))) == 1:
        os._exit(9)
    return quick(folder, options, limits, report)


def telling(folder: Path, options: VideoOptions, limits: Limits, report: Report) -> Finished:
    """Fail with the quality that was asked for."""
    raise InputError(f"quality {options.quality}, size {options.settled.size}")


def faulty(folder: Path, options: VideoOptions, limits: Limits, report: Report) -> Finished:
    raise ZeroDivisionError("a secret of the server")


def filling(*_: object) -> None:
    """Meet a full disk."""
    try:
        Path("/dev/full").write_bytes(b"x")
    except OSError as error:
        raise InputError("cannot be written") from error  # as writers of outputs do


def brief(report: Report) -> str:
    time.sleep(0.5)
    return "done"


def dying_at_load(options: VideoOptions, report: Report) -> None:
    os._exit(9)

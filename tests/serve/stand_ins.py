"""Segmentation tasks for tests of the queue: each runs in the worker process in place of the real one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.media import open_frames, open_output
from isomer.options import VideoOptions
from isomer.segment.objects.video_objects import Moment
from isomer.serve.kept import keep_maps
from isomer.serve.options import Limits
from isomer.serve.preview import at_preview_size, preview_output
from isomer.serve.tasks import Finished

Report = Callable[[int, "int | None"], None]


def quick(folder: Path, options: VideoOptions, limits: Limits, report: Report) -> Finished:
    for done in range(4):
        report(done, 3)
    (folder / "preview.mp4").write_bytes(b"preview")
    return Finished(3, 96, 64, 25.0, None)


def noisy(folder: Path, options: VideoOptions, limits: Limits, report: Report) -> Finished:
    """Leave maps that hardly compress."""
    random = np.random.default_rng(0)
    return _finding(folder, lambda image: random.integers(0, 256, image.shape[:2], np.uint8))


def seeing(folder: Path, options: VideoOptions, limits: Limits, report: Report) -> Finished:
    """Find what is bright."""
    return _finding(folder, lambda image: np.where(image.max(2) > 150, 255, 0).astype(np.uint8))


def _finding(folder: Path, find: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> Finished:
    source = open_frames(folder / "video")
    times = []
    with keep_maps(folder) as maps, open_output(preview_output(source), folder / "preview.mp4", source) as writer:
        for frame in source:
            levels = find(frame.image)
            maps.add(Moment(frame.index, frame.time), levels)
            writer.write(at_preview_size(frame, source, levels, "map"))
            times.append(frame.time)
    (folder / "times.json").write_text(json.dumps({"times": times}))
    return Finished(len(times), *source.size, float(source.fps), None)


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

"""Cameras, network streams and files at their own pace: frames that nobody takes in time are dropped."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Protocol

import cv2
import numpy as np

from isomer.errors import InputError
from isomer.media.frame import Frame, FrameSource, pixel_aspect
from isomer.media.pictures import DEFAULT_LOOK, overlay
from isomer.media.reader import open_frames
from isomer.media.segmented import Segmented
from isomer.options import Look, VideoOptions

_BEAT = 0.1
"""Seconds of a wait that Ctrl-C cannot interrupt on Windows."""
_PATIENCE = 1.0
"""Seconds for which a camera's last frame is waited for."""


class _Device(Protocol):
    """What live frames come from."""

    path: Path
    size: tuple[int, int]
    fps: Fraction

    def frames(self, stopped: Event) -> Iterator[Frame]:
        """Yield frames, which takes as long as the world does, until there are no more or none are wanted."""


class LiveSource:
    """The newest frame of something that does not wait; a `FrameSource` that is iterated over once.

    Args:
        device: what the frames come from.
        seconds: end so long after the start.

    Attributes:
        arrived: frames that have arrived so far, taken or not.
    """

    def __init__(self, device: _Device, seconds: float = math.inf) -> None:
        self.path, self.size, self.fps = device.path, device.size, device.fps
        self.pixel_aspect = pixel_aspect(device)
        self.count: int | None = None
        self.arrived = 0
        self._device = device
        self._seconds = seconds
        self._start = 0.0
        self._newest: Frame | None = None
        self._failure: BaseException | None = None
        self._stopped = Event()
        self._changed = Condition()

    def __iter__(self) -> Iterator[Frame]:
        """Wait for the next frame and yield the newest one; `Frame.time` is the second of its arrival."""
        self._start = time.perf_counter()
        watcher = Thread(target=self._watch, name="isomer-live", daemon=True)
        watcher.start()
        try:
            while (frame := self._take()) is not None:
                yield frame
        finally:
            self._stopped.set()
            watcher.join(_PATIENCE)
        if self._failure is not None:
            raise self._failure

    def age(self, frame: Frame) -> float:
        """Return the seconds since a frame arrived."""
        return time.perf_counter() - self._start - frame.time

    def _watch(self) -> None:
        try:
            for frame in self._device.frames(self._stopped):
                with self._changed:
                    self._newest = replace(frame, time=time.perf_counter() - self._start, duration=0.0)
                    self.arrived += 1
                    self._changed.notify()
        except BaseException as error:
            self._failure = error
        finally:
            with self._changed:
                self._stopped.set()
                self._changed.notify()

    def _take(self) -> Frame | None:
        end = self._start + self._seconds
        with self._changed:
            while self._newest is None and not self._stopped.is_set() and (left := end - time.perf_counter()) > 0:
                self._changed.wait(min(left, _BEAT))
            frame, self._newest = self._newest, None
        return frame if time.perf_counter() < end else None


def open_live(source: str | Path, seconds: float = math.inf, max_pixels: int = VideoOptions.max_pixels) -> LiveSource:
    """Open a camera by its number, a stream by its URL, or a file, which then plays at its own pace.

    Args:
        source: what to open.
        seconds: end so long after the start.
        max_pixels: the most that a frame of a file may have.

    Raises:
        InputError: there is no such camera or stream, or the file is no video.
    """
    name = str(source)
    if name.isdecimal():
        return LiveSource(_Capture(int(name), f"camera {name}"), seconds)
    if "://" in name:
        return LiveSource(_Capture(name, name), seconds)
    return LiveSource(_Playback(open_frames(source, max_pixels)), seconds)


class OverlayWindow:
    """A window that shows overlays.

    Args:
        look: of the overlays.

    Raises:
        InputError: OpenCV is installed without windows (from `show`).
    """

    _TITLE = "Isomer"
    _ESCAPE = 27

    def __init__(self, look: Look = DEFAULT_LOOK) -> None:
        self._look = look

    def show(self, result: Segmented) -> bool:
        """Show what was found in a frame; False once the user has pressed Esc."""
        picture = overlay(result, self._look)
        try:
            cv2.imshow(self._TITLE, picture[..., ::-1])
            return cv2.waitKey(1) != self._ESCAPE
        except cv2.error as error:
            raise InputError("this OpenCV has no windows to show anything in; write a file instead") from error

    def close(self) -> None:
        """Close the window, if there is one."""
        with suppress(cv2.error):
            cv2.destroyAllWindows()


class _Playback:
    """A source whose frames come at their times."""

    def __init__(self, source: FrameSource) -> None:
        self.path, self.size, self.fps = source.path, source.size, source.fps
        self.pixel_aspect = pixel_aspect(source)
        self._source = source

    def frames(self, stopped: Event) -> Iterator[Frame]:
        """Yield the frames when they are due."""
        start = time.perf_counter()
        for frame in self._source:
            if stopped.wait(start + frame.time - time.perf_counter()):
                return
            yield frame


class _Capture:
    """A camera or a stream, through OpenCV."""

    def __init__(self, address: int | str, name: str) -> None:
        self._capture = cv2.VideoCapture(address)
        if not self._capture.isOpened():
            raise InputError(f"{name}: cannot be opened; check that it is there and not in use")
        self.path = Path(name.replace("/", "_").replace(" ", ""))
        width, height = (self._capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        self.size = (int(width), int(height))
        rate = self._capture.get(cv2.CAP_PROP_FPS)  # of some cameras nan, 0 or -1
        self.fps = Fraction(rate if 0 < rate < 1000 else 25).limit_denominator(1001)

    def frames(self, stopped: Event) -> Iterator[Frame]:
        """Yield the frames as they come."""
        index = 0
        try:
            while not stopped.is_set():
                arrived, image = self._capture.read()
                if not arrived:
                    return
                yield Frame(index, np.ascontiguousarray(image[..., ::-1], np.uint8), 0.0, f"{index:05d}")
                index += 1
        finally:
            self._capture.release()

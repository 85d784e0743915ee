"""Cameras, network streams and files at their own pace: frames that nobody takes in time are dropped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Condition, Thread
from typing import Protocol

import cv2
import numpy as np

from isomer.errors import InputError
from isomer.media.frame import Frame, FrameSource, pixel_aspect
from isomer.media.pictures import DEFAULT_LOOK, Look, overlay
from isomer.media.reader import open_frames
from isomer.media.segmented import Segmented


class _Device(Protocol):
    """What live frames come from: `__iter__` takes as long as the world does."""

    path: Path
    size: tuple[int, int]
    fps: Fraction

    def __iter__(self) -> Iterator[Frame]: ...


class LiveSource:
    """The newest frame of something that does not wait; a `FrameSource` that is iterated over once.

    Attributes:
        arrived: frames that have arrived so far, taken or not.
    """

    def __init__(self, device: _Device) -> None:
        self.path, self.size, self.fps = device.path, device.size, device.fps
        self.pixel_aspect = pixel_aspect(device)
        self.count: int | None = None
        self.arrived = 0
        self._device = device
        self._start = 0.0
        self._newest: Frame | None = None
        self._failure: BaseException | None = None
        self._running = False
        self._changed = Condition()

    def __iter__(self) -> Iterator[Frame]:
        """Wait for the next frame and yield the newest one; `Frame.time` is the second of its arrival."""
        self._start = time.perf_counter()
        self._running = True
        watcher = Thread(target=self._watch, name="isomer-live", daemon=True)
        watcher.start()
        try:
            while (frame := self._take()) is not None:
                yield frame
        finally:
            self._running = False
            watcher.join()
        if self._failure is not None:
            raise self._failure

    def age(self, frame: Frame) -> float:
        """Return the seconds since a frame arrived."""
        return time.perf_counter() - self._start - frame.time

    def _watch(self) -> None:
        try:
            for frame in self._device:
                if not self._running:
                    return
                with self._changed:
                    self._newest = replace(frame, time=time.perf_counter() - self._start)
                    self.arrived += 1
                    self._changed.notify()
        except BaseException as error:
            self._failure = error
        finally:
            with self._changed:
                self._running = False
                self._changed.notify()

    def _take(self) -> Frame | None:
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or not self._running)
            frame, self._newest = self._newest, None
        return frame


def open_live(source: str | Path) -> LiveSource:
    """Open a camera by its number, a stream by its URL, or a file, which then plays at its own pace.

    Raises:
        InputError: there is no such camera or stream, or the file is no video.
    """
    name = str(source)
    if name.isdecimal():
        return LiveSource(_Capture(int(name), f"camera {name}"))
    if "://" in name:
        return LiveSource(_Capture(name, name))
    return LiveSource(_Playback(open_frames(source)))


class OverlayWindow:
    """A window that shows overlays.

    Args:
        look: of them.

    Raises:
        InputError: OpenCV is installed without windows (from `show`).
    """

    _TITLE = "Isomer"
    _ESCAPE = 27

    def __init__(self, look: Look = DEFAULT_LOOK) -> None:
        self._look = look

    def show(self, result: Segmented) -> bool:
        """Show what was found in a frame; False once the user has pressed Esc."""
        try:
            cv2.imshow(self._TITLE, overlay(result, self._look)[..., ::-1])
            return cv2.waitKey(1) != self._ESCAPE
        except cv2.error as error:
            raise InputError("--show: this OpenCV has no windows; use -o") from error

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

    def __iter__(self) -> Iterator[Frame]:
        start = time.perf_counter()
        for frame in self._source:
            time.sleep(max(0.0, start + frame.time - time.perf_counter()))
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

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        try:
            while True:
                arrived, image = self._capture.read()
                if not arrived:
                    return
                yield Frame(index, np.ascontiguousarray(image[..., ::-1], np.uint8), 0.0, f"{index:05d}")
                index += 1
        finally:
            self._capture.release()

"""What is behind the object in a composite: a colour, an image, a video, the frame itself out of focus, or nothing."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import ArgumentError
from isomer.media.frame import FrameSource, Pixels, pixel_aspect
from isomer.media.image import IMAGE_SUFFIXES, MAX_PIXELS, read_image
from isomer.media.reader import open_frames
from isomer.media.resize import resize_image

_COLOURS = {"black": (0, 0, 0), "white": (255, 255, 255), "green": (0, 255, 0), "blue": (0, 0, 255)}
PLAIN = rf"transparent|blur(:[0-9]{{1,4}})?|{'|'.join(_COLOURS)}|#[0-9a-fA-F]{{6}}"
"""Regular expression of the backgrounds that need no file."""
_MOST_BLUR = 1000
_BLUR_SHARE = 25
"""Of the frame's shorter side, how often the radius of a blur without one goes into it."""
_SMOOTH = 4
"""Pixels of blur that hide that it was done on a smaller picture."""
_TOLERANCE = 1e-6  # seconds


class Background(Protocol):
    """What is behind the object."""

    @property
    def path(self) -> Path | None:
        """The file or folder it is read from, if any."""

    def behind(self, image: Pixels, time: float, alpha: NDArray[np.uint8]) -> Pixels | None:
        """Return it for a frame, whose time is not before that of the last one.

        Args:
            image: the frame's, RGB [H, W, 3], uint8 or at the source's depth.
            time: the frame's.
            alpha: opacity of the object there, uint8 [H, W].

        Returns:
            RGB [H, W, 3], at the source's depth where it is made of the image, else uint8; None for transparency.
        """


@dataclass(frozen=True)
class Transparent:
    """Nothing."""

    path: ClassVar[None] = None

    def behind(self, image: Pixels, time: float, alpha: NDArray[np.uint8]) -> None:
        """See `Background.behind`."""
        return


@dataclass(frozen=True)
class Colour:
    """One colour, RGB."""

    path: ClassVar[None] = None

    rgb: tuple[int, int, int]

    def behind(self, image: Pixels, time: float, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Background.behind`."""
        return np.full(image.shape, self.rgb, np.uint8)


@dataclass(frozen=True)
class Blur:
    """The frame out of focus, without the object: its colours do not run into what is around it.

    Attributes:
        radius: standard deviation of the Gaussian, in pixels; by default a 25th of the frame's shorter side.
    """

    radius: int | None = None
    path: ClassVar[None] = None

    def behind(self, image: Pixels, time: float, alpha: NDArray[np.uint8]) -> Pixels:
        """See `Background.behind`."""
        height, width = alpha.shape
        radius = self.radius or max(1.0, min(width, height) / _BLUR_SHARE)
        shrinking = max(1, int(radius / _SMOOTH))
        size = (max(1, width // shrinking), max(1, height // shrinking))
        sigma = radius / shrinking
        reach = np.ones((2 * math.ceil(sigma / 2) + 1,) * 2, np.uint8)  # a map may end within the object
        rest = cv2.erode(cv2.resize(255 - alpha, size, interpolation=cv2.INTER_AREA), reach)
        shares = rest.astype(np.float32)
        colours = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) * shares[..., None]
        sums, weights = (cv2.GaussianBlur(part, (0, 0), sigma) for part in (colours, shares))
        blurred = sums / np.maximum(weights, 1e-3)[..., None]  # which the object covers where there is nothing
        enlarged = cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(np.rint(enlarged), image.dtype)


class Still:
    """An image.

    Args:
        image: RGB, uint8 [h, w, 3].
        fit: see `fitted`.
        aspect: width of the frames' pixels over their height.
        path: of the image's file.
    """

    def __init__(self, image: NDArray[np.uint8], fit: str, aspect: Fraction, path: Path | None = None) -> None:
        self.path = path
        self._image = image
        self._fit = fit
        self._aspect = aspect
        self._fitted = np.empty((0, 0, 3), np.uint8)

    def behind(self, image: Pixels, time: float, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Background.behind`."""
        if self._fitted.shape[:2] != alpha.shape:
            self._fitted = fitted(self._image, (alpha.shape[1], alpha.shape[0]), self._fit, self._aspect)
        return self._fitted


class Moving:
    """A video, frame by frame at its own times; at its end it begins again.

    Args:
        source: of its frames.
        fit: see `fitted`.
        aspect: width of the frames' pixels over their height.
    """

    def __init__(self, source: FrameSource, fit: str, aspect: Fraction) -> None:
        self.path = source.path
        self._fit = fit
        self._aspect = aspect / pixel_aspect(source)
        self._pictures = _looped(source)
        self._end = 0.0
        self._still = Still(np.zeros((1, 1, 3), np.uint8), fit, aspect)

    def behind(self, image: Pixels, time: float, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Background.behind`."""
        shown = None
        while time + _TOLERANCE >= self._end:
            shown, self._end = next(self._pictures)
        if shown is not None:
            self._still = Still(shown, self._fit, self._aspect)
        return self._still.behind(image, time, alpha)


def _looped(source: FrameSource) -> Iterator[tuple[NDArray[np.uint8], float]]:
    """Yield the images of a source over and over, each with the second at which it ends."""
    end = 0.0
    while True:
        start = end
        for frame in source:
            end = start + frame.time + (frame.duration or float(1 / source.fps))
            yield frame.image, end


def open_background(
    background: str | Path, fit: str, aspect: Fraction = Fraction(1), max_pixels: int = MAX_PIXELS
) -> Background:
    """Open a background.

    Args:
        background: see `isomer.options.VideoOptions`.
        fit: of an image or a video; see `fitted`.
        aspect: width of the frames' pixels over their height.
        max_pixels: the most that a picture of it may have.

    Raises:
        ArgumentError: it is neither of `PLAIN` nor a file or folder that is there.
        InputError: the file cannot be read.
    """
    text = str(background)
    if re.fullmatch(PLAIN, text):
        return _plain(text)
    if not Path(background).exists():
        raise ArgumentError(
            "background",
            background,
            f"neither {', '.join(_COLOURS)}, #RRGGBB, blur, blur:RADIUS, transparent nor a file that is there",
        )
    if Path(background).suffix.lower() in IMAGE_SUFFIXES:
        return Still(read_image(background, max_pixels), fit, aspect, Path(background))
    return Moving(open_frames(background, max_pixels), fit, aspect)


def _plain(text: str) -> Background:
    if text == "transparent":
        return Transparent()
    kind, _, radius = text.partition(":")
    if kind == "blur":
        if radius and not 1 <= int(radius) <= _MOST_BLUR:
            raise ArgumentError("background", text, f"its radius is not between 1 and {_MOST_BLUR} pixels")
        return Blur(int(radius) if radius else None)
    red, green, blue = _COLOURS.get(text) or bytes.fromhex(text[1:])
    return Colour((red, green, blue))


def fitted(image: NDArray[np.uint8], size: tuple[int, int], fit: str, aspect: Fraction) -> NDArray[np.uint8]:
    """Bring an image to the size of a frame.

    Args:
        image: RGB, uint8 [h, w, 3].
        size: (width, height) of the frame.
        fit: `cover` fills the frame and cuts off what is over, `contain` shows the whole image with black bars, and
            `stretch` gives it the frame's shape.
        aspect: width of the frame's pixels over their height, in that of the image's.
    """
    width, height = size
    if fit == "stretch":
        return resize_image(image, size)
    across, down = width * float(aspect) / image.shape[1], height / image.shape[0]
    scale = max(across, down) if fit == "cover" else min(across, down)
    if fit == "cover":
        part = _middle(image, round(image.shape[1] * across / scale), round(image.shape[0] * down / scale))
        return resize_image(part, size)
    whole = resize_image(image, (max(1, round(width * scale / across)), max(1, round(height * scale / down))))
    canvas = np.zeros((height, width, 3), np.uint8)
    _middle(canvas, whole.shape[1], whole.shape[0])[:] = whole
    return canvas


def _middle(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return a view of the middle of an image, at least a pixel of it."""
    width, height = max(1, width), max(1, height)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]

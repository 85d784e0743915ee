"""What an output shows of a frame: pure functions of what was found in it and of a `Look`.

A picture is uint8 of the frame's size: gray [H, W], RGB [H, W, 3], RGBA with straight alpha [H, W, 4], or what
`numbers_and_probabilities` says. A deep one is uint16 where the frame is `deep`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media.background import Background, open_background
from isomer.media.colour import from_sdr
from isomer.media.frame import Pixels, Source, pixel_aspect
from isomer.media.labels import Labels
from isomer.media.overlay import overlay as overlay_object
from isomer.media.overlay import overlay_objects
from isomer.media.segmented import Segmented
from isomer.options import VideoOptions

_EDGE = 0.25
"""Reach of a soft edge, in probability, on either side of the threshold."""
_BLEED = np.ones((17, 17), np.uint8)
"""How far around the object colours are kept: encoders and editors mix neighbouring pixels."""


@dataclass(frozen=True)
class Look:
    """How what was found is shown.

    Attributes:
        threshold: probability in (0, 1) from which on a pixel is of the object.
        background: what is behind the object in a composite.
    """

    threshold: float = VideoOptions.threshold
    background: Background = open_background(VideoOptions.background, VideoOptions.fit)  # noqa: RUF009

    @classmethod
    def of(cls, options: VideoOptions, source: Source) -> Look:
        """Return the look that the options ask for, for the frames of one source.

        Raises:
            InputError: the background cannot be read.
        """
        return cls(options.threshold, open_background(options.background, options.fit, pixel_aspect(source)))


DEFAULT_LOOK = Look()

Picture = Callable[[Segmented, Look], Pixels]
"""Draws a picture."""


def image(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """The frame itself."""
    return result.image


def mask(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """255 on the object and 0 elsewhere."""
    return np.asarray(result.mask(look.threshold).view(np.uint8) * np.uint8(255), np.uint8)


def numbers(result: Segmented, look: Look) -> Labels:
    """The objects' numbers, 0 for none."""
    return result.numbers(look.threshold)


def probabilities(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """The probability p of the object as round(255 p)."""
    return np.asarray(np.rint(result.probability * 255), np.uint8)


def numbers_and_probabilities(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """Both, [H, W, 2]."""
    return np.dstack((numbers(result, look), probabilities(result, look)))


def matte(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """Opacity: half at the threshold, none and all from at most 0.25 below and above: soft edges, no haze."""
    reach = min(_EDGE, look.threshold, 1 - look.threshold)
    return np.asarray(np.clip((result.probability - look.threshold) * (127.5 / reach) + 127.5, 0, 255), np.uint8)


def cutout(result: Segmented, look: Look) -> Pixels:
    """The object on transparent; black beyond the reach of the edges, which compresses and hides the rest."""
    return _cut_out(result.image, matte(result, look))


def deep_cutout(result: Segmented, look: Look) -> Pixels:
    """The same at the depth of the source, in its colours."""
    image = result.image if result.deep is None else result.deep().image
    return _cut_out(image, matte(result, look))


def composite(result: Segmented, look: Look) -> Pixels:
    """The object over the background."""
    alpha = matte(result, look)
    above = _cut_out(result.image, alpha)
    behind = look.background.behind(result.image, result.time, alpha)
    return above if behind is None else _over(above, behind)


def deep_composite(result: Segmented, look: Look) -> Pixels:
    """The same at the depth of the source, in its colours."""
    if result.deep is None:
        return composite(result, look)
    image, tags = result.deep()
    alpha = matte(result, look)
    above = _cut_out(image, alpha)
    behind = look.background.behind(image, result.time, alpha)
    if behind is None:
        return above
    return _over(above, from_sdr(behind, tags) if behind.dtype == np.uint8 else behind)


def _cut_out(image: Pixels, alpha: NDArray[np.uint8]) -> Pixels:
    """Add alpha to an image, straight, of its type."""
    colours = cv2.copyTo(image, cv2.dilate(alpha, _BLEED))
    opacity = alpha if image.dtype == np.uint8 else alpha * np.uint16(257)
    return np.asarray(cv2.merge((*cv2.split(colours), opacity)), image.dtype)


def _over(above: Pixels, behind: Pixels) -> Pixels:
    """Show RGBA with straight alpha over RGB."""
    share = above[..., 3].astype(np.float32) / np.iinfo(above.dtype).max
    colours = cv2.cvtColor(above, cv2.COLOR_RGBA2RGB)
    if above.dtype == np.uint8:
        return np.asarray(cv2.blendLinear(colours, behind, share, 1 - share), above.dtype)
    mixed = cv2.blendLinear(colours.astype(np.float32), behind.astype(np.float32), share, 1 - share)
    return np.asarray(np.rint(mixed), above.dtype)


def overlay(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """The frame with the object, or each of the objects, tinted and outlined and the rest dimmed."""
    if result.labels is None:
        return overlay_object(result.image, mask(result, look))
    return overlay_objects(result.image, result.labels)

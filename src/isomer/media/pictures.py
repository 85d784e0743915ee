"""What an output shows of a frame: pure functions of what was found in it and of a `Look`.

A picture is uint8 of the frame's size: gray [H, W], RGB [H, W, 3], RGBA with straight alpha [H, W, 4], or what
`numbers_and_probabilities` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

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
    """

    threshold: float = VideoOptions.threshold


DEFAULT_LOOK = Look()

Picture = Callable[[Segmented, Look], NDArray[np.uint8]]
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


def cutout(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """The object on transparent; black beyond the reach of the edges, which compresses and hides the rest."""
    alpha = matte(result, look)
    colours = cv2.copyTo(result.image, cv2.dilate(alpha, _BLEED))
    return np.asarray(cv2.merge((*cv2.split(colours), alpha)), np.uint8)


def overlay(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """The frame with the object, or each of the objects, tinted and outlined and the rest dimmed."""
    if result.labels is None:
        return overlay_object(result.image, mask(result, look))
    return overlay_objects(result.image, result.labels)

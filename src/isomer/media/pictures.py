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
from isomer.media.foreground import estimate_foreground
from isomer.media.frame import Pixels, Source, pixel_aspect
from isomer.media.labels import Labels, nearest_labels
from isomer.media.overlay import overlay as overlay_object
from isomer.media.overlay import overlay_objects
from isomer.media.segmented import Segmented
from isomer.options import Adjustments, VideoOptions

_EDGE = 0.25
"""Reach of a soft edge, in probability, on either side of the threshold."""


@dataclass(frozen=True)
class Look(Adjustments):
    """How what was found is shown; see `isomer.options.Adjustments` for the rest.

    Attributes:
        background: what is behind the object in a composite.
        premultiplied: whether colours are multiplied with their opacity in outputs that have the choice.
    """

    background: Background = open_background(VideoOptions.background, VideoOptions.fit)  # noqa: RUF009
    premultiplied: bool = VideoOptions.premultiplied

    @classmethod
    def asked_for(cls, options: VideoOptions, source: Source) -> Look:
        """Return the look that the options ask for, for the frames of one source.

        Raises:
            InputError: the background cannot be read.
        """
        background = open_background(options.background, options.fit, pixel_aspect(source), options.max_pixels)
        return cls(**options.of(Adjustments), background=background, premultiplied=options.premultiplied)


DEFAULT_LOOK = Look()

Picture = Callable[[Segmented, Look], Pixels]
"""Draws a picture."""


def image(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """The frame itself."""
    return result.image


def mask(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """255 on the object and 0 elsewhere."""
    return _adjusted(_white(result.mask(look.threshold)), look)


def numbers(result: Segmented, look: Look) -> Labels:
    """The objects' numbers, 0 for none."""
    labels = result.numbers(look.threshold)
    found = _white(labels > 0)
    adjusted = _adjusted(found, look)
    return labels if adjusted is found else np.asarray(cv2.copyTo(nearest_labels(labels), adjusted), np.uint8)


def probabilities(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """The probability p of the object as round(255 p)."""
    return np.asarray(np.rint(result.probability * 255), np.uint8)


def numbers_and_probabilities(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """Both, [H, W, 2]."""
    return np.dstack((numbers(result, look), probabilities(result, look)))


def matte(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """Opacity: what was found of it, else half at the threshold, none and all from at most 0.25 below and above."""
    if result.alpha is not None:
        alpha = np.rint(result.alpha * 255)
    else:
        reach = min(_EDGE, look.threshold, 1 - look.threshold)
        alpha = np.clip((result.probability - look.threshold) * (127.5 / reach) + 127.5, 0, 255)
    adjusted = _adjusted(alpha.astype(np.uint8), look)
    return np.asarray(cv2.GaussianBlur(adjusted, (0, 0), look.feather / 2) if look.feather else adjusted, np.uint8)


def cutout(result: Segmented, look: Look) -> Pixels:
    """The object in its own colours on transparent; black farther off, which compresses and hides the rest."""
    return _cut_out(result.image, matte(result, look))


def deep_cutout(result: Segmented, look: Look) -> Pixels:
    """The same at the depth of the source, in its colours."""
    image = result.image if result.deep is None else result.deep().image
    return _cut_out(image, matte(result, look))


def premultiplied(picture: Picture) -> Picture:
    """Have a picture with straight alpha drawn with its colours multiplied with their opacity."""

    def draw(result: Segmented, look: Look) -> Pixels:
        straight = picture(result, look)
        white = np.iinfo(straight.dtype).max
        share = straight[..., 3:].astype(np.float32) / white
        straight[..., :3] = np.rint(straight[..., :3] * share)
        return straight

    return draw


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
    """Return the object in its own colours with straight alpha, of the image's type."""
    colours = estimate_foreground(image, alpha)
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


SOFT = frozenset({cutout, deep_cutout, composite, deep_composite})
"""Pictures that show how much of each pixel is of the object, not only whether it is."""


def overlay(result: Segmented, look: Look) -> NDArray[np.uint8]:
    """The frame with the object, or each of the objects, tinted and outlined and the rest dimmed."""
    if result.labels is None:
        return overlay_object(result.image, mask(result, look))
    return overlay_objects(result.image, numbers(result, look))


def _white(where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.asarray(where.view(np.uint8) * np.uint8(255), np.uint8)


def _adjusted(opacity: NDArray[np.uint8], look: Look) -> NDArray[np.uint8]:
    """Return opacity, uint8 [H, W], or a mask of 0 and 255, with holes filled and so on; itself where nothing is asked.

    What is at least half opaque counts as object; what is less goes with the part that it touches.
    """
    if look.fill_holes:
        opacity = opacity.copy()
        outlines, _ = cv2.findContours((opacity > 127).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(np.zeros_like(opacity), outlines, -1, 255, cv2.FILLED)
        opacity[(filled > 0) & (opacity < 128)] = 255
    if look.min_area:
        _, parts = cv2.connectedComponents((opacity > 0).view(np.uint8))
        areas = np.bincount(parts[opacity > 127], minlength=int(parts.max()) + 1)
        opacity = np.where((areas < look.min_area)[parts], np.uint8(0), opacity)
    if look.grow:
        opacity = np.asarray(cv2.dilate(opacity, _disc(look.grow)), np.uint8)
    if look.shrink:
        opacity = np.asarray(cv2.erode(opacity, _disc(look.shrink)), np.uint8)
    return opacity


def _disc(radius: int) -> NDArray[np.uint8]:
    offsets = np.square(np.arange(-radius, radius + 1))
    return np.asarray(offsets[:, None] + offsets <= radius * (radius + 1), np.uint8)

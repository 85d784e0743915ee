"""The border of what was found in a frame, as the frame's own colours show it.

Opacity in the band where the map is in doubt is about a linear function of colour around every pixel, and held by what
the map says: the closed-form matte (Levin et al., PAMI 2008). The function that is found on a coarse grid then says the
opacity of the frame's own pixels, as in a fast guided filter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isomer.segment.edges.band import Place, find_band, in_full
from isomer.segment.edges.guided import LocalColours, Plane, colour_planes, predicted

_TINY = 1e-12


class _Trust(NamedTuple):
    """How a border is followed.

    Attributes:
        grid: diagonal of the coarse grid, in its cells.
        radius: of the windows in which opacity is a function of colour, in cells.
        noise: variance of colours that is not followed.
        hold: weight of what the map says in the band, against what is said by colours: where it says nothing, and how
            much more where it is sure.
        haze: opacity that stands for none, and all from 1 less that: a fit leaves traces of what looks alike.
        steps: of conjugate gradients.
    """

    grid: float
    radius: int
    noise: float
    hold: tuple[float, float]
    haze: float
    steps: int


# A mask is to be whole: wide windows tell object from background where the map is off. A matte is to find hair.
_REFINED = _Trust(grid=200, radius=6, noise=1e-6, hold=(0.03, 1.2), haze=0.25, steps=3)
_MATTE = _Trust(grid=330, radius=4, noise=1e-5, hold=(0.03, 0.2), haze=0.15, steps=8)
_FADE = 0.1  # probability below which, and above 1 less that, the map is the more believed against colours


def refined(image: NDArray[np.uint8], probability: Plane) -> Plane:
    """Return the map with borders that follow the picture.

    Args:
        image: the frame, uint8 RGB [H, W, 3].
        probability: its map, float32 [H, W] in [0, 1].

    Returns:
        float32 [H, W] in [0, 1], the same where the map is certain. Where that is in doubt it is in [0.25, 0.75]
        wherever opacity is neither none nor all.
    """
    result: Plane = probability.copy()
    for place, opacity, share in _followed(image, probability, _REFINED):
        map_ = result[place]
        opacity = np.clip(0.5 * opacity + 0.25, np.minimum(map_, 0.25), np.maximum(map_, 0.75))
        share *= np.minimum(np.minimum(map_, 1 - map_) * np.float32(1 / _FADE), 1)
        map_ += share * (opacity - map_)
    return result


def find_opacity(image: NDArray[np.uint8], probability: Plane) -> Plane:
    """Return how much of each pixel is of the object: float32 [H, W] in [0, 1], 0 or 1 where the map is certain.

    Args:
        image: the frame, uint8 RGB [H, W, 3].
        probability: its map, float32 [H, W] in [0, 1].
    """
    result = np.asarray(probability >= 0.5, np.float32)
    for place, opacity, share in _followed(image, probability, _MATTE):
        map_ = result[place]
        map_ += share * (np.clip(opacity, 0, 1) - map_)
    return result


def _followed(image: NDArray[np.uint8], probability: Plane, trust: _Trust) -> Iterator[tuple[Place, Plane, Plane]]:
    """Yield opacity, not clipped, and whether it is in the band, in [0, 1], strip by strip; see `in_full`."""
    band = find_band(image, probability, trust.grid, margin=2 * trust.radius)
    if band is None:
        return
    colours = LocalColours(band.image, trust.radius, trust.noise)
    said = np.clip(2 * band.probability - np.float32(0.5), 0, 1)  # none at 0.25 and all at 0.75
    said = np.where(band.doubt, said, np.rint(said))
    least, more = trust.hold
    hold = np.where(band.doubt, least + more * np.square(2 * band.probability - 1), np.float32(1)).astype(np.float32)
    fit = colours.fit(_solved(colours, said, hold, trust.steps))
    fit = [plane * np.float32(1 / (1 - 2 * trust.haze)) for plane in fit]
    fit[-1] -= np.float32(trust.haze / (1 - 2 * trust.haze))
    for place, (*finer, share) in in_full([*fit, band.doubt.astype(np.float32)], band):
        yield place, predicted(finer, colour_planes(image[place])), share


def _solved(colours: LocalColours, said: Plane, hold: Plane, steps: int) -> Plane:
    """Return the map that is nearest to a function of colour everywhere, and to what is said.

    It minimises a (a - filter a) + hold (a - said)^2, summed over the pixels, by conjugate gradients.

    Args:
        colours: around every pixel.
        said: float32 [h, w] in [0, 1].
        hold: weight of what is said, float32 [h, w].
        steps: how far it goes; it begins with what is said.
    """
    scale = 1 / (1 + hold)
    solution = said
    residual = colours.filter(said) - said
    direction = scale * residual
    size = _product(residual, direction)
    for _ in range(steps):
        changed = direction - colours.filter(direction) + hold * direction
        share = np.float32(size / max(_product(direction, changed), _TINY))
        solution = solution + share * direction
        residual = residual - share * changed
        scaled = scale * residual
        before, size = size, _product(residual, scaled)
        direction = scaled + np.float32(size / max(before, _TINY)) * direction
    return np.clip(solution, 0, 1)


def _product(one: Plane, other: Plane) -> float:
    return float(np.vdot(one, other))

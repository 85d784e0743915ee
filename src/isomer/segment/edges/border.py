"""The border of what was found in a frame, as the frame's own colours show it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isomer.segment.edges.band import Place, find_band, in_full
from isomer.segment.edges.guided import LocalColours, Plane, colour_planes, predicted

_NOISE = 1e-6  # variance of colours that is not followed, 0.25 of 255 levels squared
_SURE, _UNSURE = 0.1, 0.3  # probability up to which, or from 1 less that on, the map is believed, and is not, in a mask
_TINY = 1e-12


class _Trust(NamedTuple):
    """How a border is followed.

    Attributes:
        radius: of the windows in which opacity is a function of colour, in cells.
        hold: weight of what the map says in the band, against what is said by colours: where it says nothing, and how
            much more where it is sure.
        haze: opacity that stands for none, and all from 1 less that: a fit leaves traces of what looks alike.
        steps: of conjugate gradients.
    """

    radius: int
    hold: tuple[float, float]
    haze: float
    steps: int


# A mask is to be whole, and wide windows tell the sides apart where the map is off. A matte is to find hair.
_REFINED = _Trust(radius=6, hold=(0.03, 1.2), haze=0.25, steps=3)
_MATTE = _Trust(radius=4, hold=(0.03, 0.2), haze=0.15, steps=8)


class Border:
    """The border of a map on a coarse grid, ready to be followed.

    Opacity in the band where the map is in doubt is about a linear function of colour around every pixel, and held by
    what the map says: the closed-form matte (Levin et al., PAMI 2008). The function that is found on the grid then says
    the opacity of the frame's own pixels, as in a fast guided filter.

    Args:
        image: the frame, uint8 RGB [H, W, 3].
        probability: its map, float32 [H, W] in [0, 1].
    """

    def __init__(self, image: NDArray[np.uint8], probability: Plane) -> None:
        self._image, self._probability = image, probability
        self._band = find_band(image, probability, margin=2 * _REFINED.radius)

    def refined(self) -> Plane:
        """Return the map with borders that follow the picture: float32 [H, W], the same where it is sure.

        Where it is not, it is in [0.25, 0.75] wherever opacity is neither none nor all, and in between a mean of both.
        """
        result: Plane = self._probability.copy()
        for place, fit, share in self._followed(_REFINED):
            map_ = result[place]
            unsure = np.minimum(map_, 1 - map_) > _SURE
            if not unsure.any():
                continue
            found = map_[unsure]
            colours = [plane[0] for plane in colour_planes(self._image[place][unsure][None])]
            opacity = 0.5 * predicted([plane[unsure] for plane in fit], colours) + 0.25
            opacity = np.clip(opacity, np.minimum(found, 0.25), np.maximum(found, 0.75))
            doubt = np.minimum(
                (np.minimum(found, 1 - found) - np.float32(_SURE)) * np.float32(1 / (_UNSURE - _SURE)), 1
            )
            map_[unsure] = found + share[unsure] * doubt * (opacity - found)
        return result

    def opacity(self) -> Plane:
        """Return how much of each pixel is of the object: float32 [H, W] in [0, 1], 0 or 1 where the map is certain."""
        result = np.asarray(self._probability >= 0.5, np.float32)
        for place, fit, share in self._followed(_MATTE):
            map_ = result[place]
            map_ += share * (np.clip(predicted(fit, colour_planes(self._image[place])), 0, 1) - map_)
        return result

    def _followed(self, trust: _Trust) -> Iterator[tuple[Place, list[Plane], Plane]]:
        """Yield opacity as functions of colour, and whether it is in the band, in [0, 1], by strips; see `in_full`."""
        if self._band is None:
            return
        probability, doubt = self._band.probability, self._band.doubt
        said = np.clip(2 * probability - np.float32(0.5), 0, 1)  # none at 0.25 and all at 0.75
        said = np.where(doubt, said, np.rint(said))
        least, more = trust.hold
        hold = np.where(doubt, least + more * np.square(2 * probability - 1), np.float32(1)).astype(np.float32)
        colours = LocalColours(self._band.image, trust.radius, _NOISE)
        stretch = np.float32(1 / (1 - 2 * trust.haze))
        fit = [stretch * plane for plane in colours.fit(_solved(colours, said, hold, trust.steps))]
        fit[-1] -= stretch * np.float32(trust.haze)
        for place, (*finer, share) in in_full([*fit, doubt.astype(np.float32)], self._band):
            yield place, finer, share


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

"""Maps as linear functions of colour around every pixel: what makes the border of a map follow that of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


class LocalColours:
    """The colours around every pixel of a picture, to which maps are fitted.

    Around a pixel a map is about a linear function of colour: that is the guided filter (He et al., "Guided image
    filtering", PAMI 2013), and what it changes of a map is the matting Laplacian (Levin et al., "A closed-form solution
    to natural image matting", PAMI 2008) with windows of any size (He et al., "Fast matting using large kernel matting
    Laplacian matrices", CVPR 2010).

    Args:
        image: uint8 RGB [h, w, 3].
        radius: of the square windows, in pixels.
        noise: variance of the noise that the fit is not to follow, of colours in [0, 1].
    """

    def __init__(self, image: NDArray[np.uint8], radius: int, noise: float) -> None:
        self._window = (2 * radius + 1, 2 * radius + 1)
        self._colours = colour_planes(image)
        red, green, blue = self._colours
        self._means = [self._mean(plane) for plane in self._colours]
        r, g, b = self._means
        # The covariance of the colours as the product of triangular matrices: its inverse loses all digits where
        # colours lie on a line.
        rr = self._mean(red * red) - r * r + np.float32(noise)
        gr, br = (self._mean(red * plane) - r * mean for plane, mean in ((green, g), (blue, b)))
        self._gr, self._br = gr / rr, br / rr
        gg = self._mean(green * green) - g * g - self._gr * gr + np.float32(noise)
        bg = self._mean(green * blue) - g * b - self._br * gr
        self._bg = bg / gg
        bb = self._mean(blue * blue) - b * b - self._br * br - self._bg * bg + np.float32(noise)
        self._scales = [1 / rr, 1 / gg, 1 / np.maximum(bb, np.float32(noise))]

    def fit(self, values: Plane) -> list[Plane]:
        """Return the slopes by red, green and blue and the offset that fit a map around each pixel: four [h, w]."""
        mean = self._mean(values)
        x, y, z = (
            self._mean(values * plane) - mean * centre for plane, centre in zip(self._colours, self._means, strict=True)
        )
        y -= self._gr * x
        z -= self._br * x + self._bg * y
        blue = z * self._scales[2]
        green = y * self._scales[1] - self._bg * blue
        red = x * self._scales[0] - self._gr * green - self._br * blue
        slopes = red, green, blue
        offset = mean - sum(slope * centre for slope, centre in zip(slopes, self._means, strict=True))
        return [self._mean(plane) for plane in (*slopes, offset)]

    def filter(self, values: Plane) -> Plane:
        """Return a map as what fits it."""
        return predicted(self.fit(values), self._colours)

    def _mean(self, plane: Plane) -> Plane:
        return cv2.blur(plane, self._window, borderType=cv2.BORDER_REFLECT_101).astype(np.float32, copy=False)


def colour_planes(image: NDArray[np.uint8]) -> list[Plane]:
    """Return red, green and blue of a picture, in [-0.5, 0.5]: about the middle, so that differences keep digits."""
    planes = (cv2.addWeighted(plane, 1 / 255, plane, 0, -0.5, dtype=cv2.CV_32F) for plane in cv2.split(image))
    return [np.asarray(plane, np.float32) for plane in planes]


def predicted(fit: Sequence[Plane], colours: Sequence[Plane]) -> Plane:
    """Return the map that a fit says of colours."""
    *slopes, offset = fit
    total: Plane = offset.copy()
    for slope, plane in zip(slopes, colours, strict=True):
        total += slope * plane
    return total

"""Where a map is in doubt: the band around its borders, on a coarse grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media.resize import resize_image
from isomer.segment.edges.guided import Plane, colour_planes, predicted
from isomer.segment.warp import resize_map

_GRID = 330
"""Diagonal of the grid on which borders are found, in its cells: a third of that of a frame of 854x480."""
_STRIP = 32
"""Rows of cells of which the frame's own pixels are found at once."""

_SURE = 0.8  # probability from which on a pixel is certainly of the object, and 1 minus that for not
_REACH = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))  # how far a cell in doubt casts doubt on others
_SPECK = 0.0005  # share of the frame below which regions, and holes in regions, are the network's mistakes

Place = tuple[slice, slice]


class Band(NamedTuple):
    """The surroundings of what is in doubt, on the coarse grid.

    Attributes:
        image: the picture, uint8 RGB [h, w, 3].
        probability: float32 [h, w], without specks and small holes.
        doubt: whether a cell is in the band, bool [h, w].
        place: the rows and columns of the frame that these cells cover.
    """

    image: NDArray[np.uint8]
    probability: Plane
    doubt: NDArray[np.bool_]
    place: Place


def find_band(image: NDArray[np.uint8], probability: Plane, margin: int) -> Band | None:
    """Find what is near to where the map is in doubt, and cut it out.

    Args:
        image: the frame, uint8 RGB [H, W, 3].
        probability: its map, float32 [H, W].
        margin: cells around the band that are cut out with it.

    Returns:
        None where all is certain.
    """
    height, width = probability.shape
    step = max(1, round(float(np.hypot(height, width)) / _GRID))
    rows, columns = -(-height // step), -(-width // step)
    coarse = cv2.resize(probability, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
    is_object, is_other = ((side >= _SURE).view(np.uint8) for side in (coarse, 1 - coarse))
    certain = cv2.max(cv2.erode(is_object, _REACH), cv2.erode(is_other, _REACH))
    doubt = np.asarray(1 - certain, np.uint8)
    left, top, across, down = cv2.boundingRect(doubt)
    if not across:
        return None
    y = slice(max(0, top - margin), min(rows, top + down + margin))
    x = slice(max(0, left - margin), min(columns, left + across + margin))
    place = (
        slice(round(y.start * height / rows), round(y.stop * height / rows)),
        slice(round(x.start * width / columns), round(x.stop * width / columns)),
    )
    shown = resize_image(image[place], (x.stop - x.start, y.stop - y.start))
    return Band(shown, _tidied(coarse)[y, x], doubt[y, x] > 0, place)


def _tidied(probability: Plane) -> Plane:
    """Return a map without specks and small holes."""
    result: Plane = probability.copy()
    for side, certain in ((probability >= 0.5, 0), (probability < 0.5, 1)):
        _, parts, stats, _ = cv2.connectedComponentsWithStats(side.view(np.uint8), connectivity=8 if certain else 4)
        is_small = stats[:, cv2.CC_STAT_AREA] < _SPECK * probability.size
        is_small[0] = False
        result[is_small[parts]] = certain
    return result


def in_full(
    fit: Sequence[Plane], band: Band, image: NDArray[np.uint8]
) -> Iterator[tuple[Place, NDArray[np.bool_], Plane]]:
    """Yield what a fit says of the frame's own pixels, strip by strip, so that large frames take little memory.

    Args:
        fit: of the band's cells, see `LocalColours.fit`.
        band: the part of the frame that is wanted.
        image: the frame, uint8 RGB [H, W, 3].

    Yields:
        The rows and columns of a strip of the frame, where the band is there, and the map, not clipped.
    """
    rows, columns = band.place
    cells, width = band.doubt.shape[0], columns.stop - columns.start
    step = (rows.stop - rows.start) / cells
    for first in range(0, cells, _STRIP):
        last = min(first + _STRIP, cells)
        low, high = max(first - 1, 0), min(last + 1, cells)  # a cell more on either side: strips join without a seam
        start, end = round(first * step), round(last * step)
        size, cut = (width, round(high * step) - round(low * step)), slice(start - round(low * step), None)
        finer = [resize_map(plane[low:high], *size[::-1])[cut][: end - start] for plane in fit]
        doubt = cv2.resize(band.doubt[low:high].view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        place = slice(rows.start + start, rows.start + end), columns
        yield place, doubt[cut][: end - start] > 0, predicted(finer, colour_planes(image[place]))

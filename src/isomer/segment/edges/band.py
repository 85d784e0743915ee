"""Where a map is in doubt: the band around its borders, on a coarse grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media.resize import shrink
from isomer.segment.edges.guided import Plane
from isomer.segment.warp import resize_map

_GRID = 200
"""Diagonal of the grid on which borders are found, in its cells: a fifth of that of a frame of 854x480."""
_STRIP = 16
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
    coarse = shrink(probability, (columns, rows))
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
    shown = shrink(image[place], (x.stop - x.start, y.stop - y.start))
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


def in_full(planes: Sequence[Plane], band: Band) -> Iterator[tuple[Place, list[Plane]]]:
    """Enlarge planes of the band's cells to the frame's own pixels, as far as the band reaches.

    They come strip by strip, so that large frames take little memory.

    Args:
        planes: float32 [h, w] each.
        band: where they are.

    Yields:
        The rows and columns of a strip of the frame, and the planes there.
    """
    (cells, across), (rows, columns) = band.doubt.shape, band.place
    step_y, step_x = (rows.stop - rows.start) / cells, (columns.stop - columns.start) / across
    for first in range(0, cells, _STRIP):
        last = min(first + _STRIP, cells)
        left, _, width, _ = cv2.boundingRect(band.doubt[first:last].view(np.uint8))
        if not width:
            continue
        # A cell more on either side: strips join without a seam, and doubt fades within the strip.
        low, high = max(first - 1, 0), min(last + 1, cells)
        left, right = max(left - 1, 0), min(left + width + 1, across)
        start, end, margin = round(first * step_y), round(last * step_y), round(low * step_y)
        x = slice(round(left * step_x), round(right * step_x))
        size = round(high * step_y) - margin, x.stop - x.start
        finer = [resize_map(plane[low:high, left:right], *size)[start - margin : end - margin] for plane in planes]
        yield (
            (
                slice(rows.start + start, rows.start + end),
                slice(columns.start + x.start, columns.start + x.stop),
            ),
            finer,
        )

"""Reading predictions and annotations, strictly: what cannot be meant is refused, what might not be is noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.media import png
from isomer.media.image import MAX_PIXELS, decode_stored, read_bytes
from isomer.media.mask_image import VOID, MaskImage, alpha_is_mask, decode_mask, is_lossy
from isomer.metrics.levels import LEVELS
from isomer.metrics.pair import MASK_THRESHOLD

_COLOURS = {0: "gray", 2: "RGB", 3: "palette", 4: "gray with alpha", 6: "RGBA"}
_FEW = 16  # levels of a whole sequence; a map of probabilities has more
_LISTED = 8  # so many levels are named in a note
_LOSSY = "compressed with loss, so that levels are not exact; save PNGs"


class Predictions:
    """The predictions of a sequence, 8-bit gray maps.

    Args:
        max_pixels: the most that one may have.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS) -> None:
        self._max_pixels = max_pixels
        self._seen = np.zeros(LEVELS, bool)
        self._count = self._lossy = 0

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Read one of them: uint8 [H, W].

        Raises:
            InputError: the file cannot be read or is not 8-bit gray.
        """
        data = read_bytes(path)
        kind = png.peek_kind(data)
        if kind is not None and kind != (8, png.GRAY):
            what = f"{kind.depth}-bit {_COLOURS.get(kind.colour_type, 'unknown')}"
            raise InputError(f"{path}: a {what} PNG; a prediction has to be 8-bit gray, convert it")
        image = decode_stored(data, path, self._max_pixels)
        if image.ndim != 2 or image.dtype != np.uint8:
            channels = 1 if image.ndim == 2 else image.shape[2]
            raise InputError(
                f"{path}: {channels} channels of {image.dtype}; a prediction has to be 8-bit gray, convert it"
            )
        self._count += 1
        self._lossy += is_lossy(data)
        if self._seen.sum() <= _FEW or not self._seen[MASK_THRESHOLD + 1 :].any():  # else they are as they should be
            self._seen[_levels(image)] = True
        return image

    def notes(self, thresholded: bool) -> Counter[str]:
        """Say what is out of the ordinary in what was read, and of how many it is true.

        Args:
            thresholded: whether it matters on which side of the threshold of masks a level is.
        """
        notes = Counter({_LOSSY: self._lossy})
        levels = np.flatnonzero(self._seen)
        if thresholded and 0 < levels.max(initial=0) <= MASK_THRESHOLD:
            notes[
                f"without a level above {MASK_THRESHOLD}, so that all is background; the highest is {levels.max()}, "
                "object has to be 255"
            ] = self._count
        elif thresholded and len(levels) <= _FEW and not set(levels) <= {0, 255}:
            notes[f"of no other levels than {_listed(levels)}: foreground is above {MASK_THRESHOLD}"] = self._count
        return +notes


class Annotation(NamedTuple):
    """A frame's annotation, several objects merged into one foreground.

    Attributes:
        levels: uint8 [H, W]; of a palette or colours 255 where there is any object, else 0.
        void: bool [H, W], where it is left open what is there, and `levels` are 0; None where it is nowhere.
    """

    levels: NDArray[np.uint8]
    void: NDArray[np.bool_] | None = None


class Annotations:
    """The annotations of a sequence, of which some can only be understood together.

    Opacity that differs within the sequence is the mask. Index 255 of a palette is void where the sequence has
    objects of other numbers too, else the object.

    Args:
        paths: the files.
        max_pixels: the most that one may have.
    """

    def __init__(self, paths: Sequence[Path], max_pixels: int = MAX_PIXELS) -> None:
        self._paths = paths
        self._max_pixels = max_pixels
        self._notes: Counter[str] = Counter()
        self._between: set[int] = set()  # levels that are neither background nor object
        self._odd = 0  # annotations with such

    def read(self, path: Path) -> Annotation:
        """Read one of them.

        A palette PNG is foreground where its index, a colour image where any channel is not 0.

        Raises:
            InputError: a file cannot be read or has other than 8 bits a channel.
        """
        data = read_bytes(path)
        image = decode_mask(data, path, self._max_pixels)
        if image.levels.dtype != np.uint8:
            kind = image.levels.dtype
            raise InputError(f"{path}: an annotation of {kind}; it has to have 8 bits a channel, convert it")
        self._notes[_LOSSY] += is_lossy(data)
        if image.palette is not None:
            if not image.begins_with_black:
                self._notes["whose palette does not begin with black: index 0 is background"] += 1
            return self._of_palette(image.levels)
        if image.alpha is not None and self._alpha_is_mask:
            self._notes["taken from the alpha, which is not the same everywhere"] += 1
            return self._of_gray(np.ascontiguousarray(image.alpha))
        if image.levels.ndim == 3:
            return self._of_colours(image.levels)
        return self._of_gray(image.levels)

    def notes(self) -> Counter[str]:
        """Say what is out of the ordinary in what was read, and of how many it is true."""
        between = (
            f"with levels other than 0 and 255 ({_listed(sorted(self._between)[:_LISTED])}): foreground above 0 for "
            f"J, F, T, above {MASK_THRESHOLD} for saliency"
        )
        return +(self._notes + Counter({between: self._odd}))

    def _of_palette(self, indices: NDArray[np.uint8]) -> Annotation:
        void = indices == VOID
        if not void.any() or not self._has_objects:
            return Annotation(_foreground(indices))
        self._notes[f"with void, palette index {VOID}: it counts as background in annotation and prediction"] += 1
        return Annotation(_foreground(np.where(void, np.uint8(0), indices)), void)

    def _of_colours(self, colours: NDArray[np.uint8]) -> Annotation:
        levels = colours.max(axis=2)
        if (colours == levels[..., None]).all():
            return self._of_gray(levels)
        if len(np.unique(colours.reshape(-1, 3), axis=0)) > LEVELS:
            self._notes[f"of more than {LEVELS} colours, too many for objects: foreground is all but black"] += 1
        return Annotation(_foreground(levels))

    def _of_gray(self, levels: NDArray[np.uint8]) -> Annotation:
        between = cv2.inRange(levels, 1, 254)
        if cv2.countNonZero(between):
            self._odd += 1
            self._between.update(_levels(levels[between > 0]).tolist())
        return Annotation(levels)

    @cached_property
    def _alpha_is_mask(self) -> bool:
        return alpha_is_mask(image.alpha for image in self._images())

    @cached_property
    def _has_objects(self) -> bool:
        indices = (image.levels for image in self._images() if image.palette is not None)
        return any(cv2.inRange(levels, 1, VOID - 1).any() for levels in indices)

    def _images(self) -> Iterator[MaskImage]:
        for path in self._paths:
            yield decode_mask(read_bytes(path), path, self._max_pixels)


def _foreground(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.threshold(image, 0, 255, cv2.THRESH_BINARY)[1], np.uint8)


def _levels(image: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The levels that occur in an image."""
    lowest, highest = (int(level) for level in cv2.minMaxLoc(image)[:2])
    if not cv2.countNonZero(cv2.inRange(image, lowest + 1, highest - 1)):
        return np.array([lowest, highest])
    return np.flatnonzero(cv2.calcHist([image], [0], None, [LEVELS], [0, LEVELS]))


def _listed(levels: Iterable[int]) -> str:
    return ", ".join(str(level) for level in levels)

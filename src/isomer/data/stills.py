"""Folders of still images, with or without masks, read one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.data.masks import read_levels
from isomer.errors import InputError
from isomer.media.image import IMAGE_SUFFIXES, read_image


def image_files(folder: Path) -> list[Path]:
    """List the images of a folder by name.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != ".")
    if not files:
        raise InputError(f"{folder}: no images there; name a folder of JPEG or PNG files")
    return files


@dataclass(frozen=True)
class Cutout:
    """An image with the mask of its salient object.

    Args:
        image: uint8 RGB [H, W, 3].
        mask: uint8 0/255 [H, W].
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """The object's bounding box x, y, width, height."""
        x, y, w, h = cv2.boundingRect(self.mask)
        return x, y, w, h

    @cached_property
    def alpha(self) -> NDArray[np.uint8]:
        """The mask with a soft edge, drawn in by a pixel so that no background shines through."""
        return cv2.blur(cv2.erode(self.mask, np.ones((3, 3), np.uint8)), (3, 3)).astype(np.uint8, copy=False)

    @cached_property
    def background(self) -> NDArray[np.uint8]:
        """The image with the object painted over from its surroundings."""
        small = cv2.resize(self.image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        hole = cv2.resize(self.mask, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA)
        hole = cv2.dilate((hole > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        filled = cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA)
        filled = cv2.resize(filled, self.mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
        near = cv2.blur(cv2.dilate(self.mask, np.ones((9, 9), np.uint8)), (7, 7))
        weight = near[..., None] / np.float32(255)
        return np.asarray(weight * filled + (1 - weight) * self.image).astype(np.uint8)


class Photographs:
    """The images of some folders; indexing reads one as uint8 RGB [H, W, 3].

    Raises:
        InputError: a folder holds no image; on indexing, an image cannot be read.
    """

    def __init__(self, folders: Sequence[Path]):
        self.files = [file for folder in folders for file in image_files(folder)]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return read_image(self.files[index])


class Cutouts:
    """The images of `<folder>/images` with the masks of `<folder>/masks`; indexing reads one as a `Cutout`.

    Raises:
        InputError: an image has no mask; on indexing, a file cannot be read, sizes differ, or the mask is
            empty.
    """

    def __init__(self, folder: Path):
        masks = {path.stem: path for path in image_files(folder / "masks")}
        self.files = image_files(folder / "images")
        for path in self.files:
            if path.stem not in masks:
                raise InputError(f"{path}: has no mask in {folder / 'masks'}; add it or remove the image")
        self.masks = [masks[path.stem] for path in self.files]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Cutout:
        image, mask = read_image(self.files[index]), read_levels(self.masks[index])
        if image.shape[:2] != mask.shape:
            raise InputError(f"{self.masks[index]}: not of the size of its image; replace it")
        mask = np.where(mask > 127, 255, 0).astype(np.uint8)
        if not mask.any():
            raise InputError(f"{self.masks[index]}: no object in this mask; remove it and its image")
        return Cutout(image, mask)

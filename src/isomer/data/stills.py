"""Folders of still images, with or without masks, read one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from isomer.data.scene import Cutout, Image
from isomer.errors import InputError
from isomer.media.image import IMAGE_SUFFIXES, read_gray, read_image


def image_files(folder: Path) -> list[Path]:
    """List the images of a folder by name.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.name[0] != ".")
    if not files:
        raise InputError(f"{folder}: no images there; name a folder of JPEG or PNG files")
    return files


class Photographs:
    """The images of some folders; indexing reads one as uint8 RGB [H, W, 3].

    Raises:
        InputError: a folder holds no image; on indexing, an image cannot be read.
    """

    def __init__(self, folders: Sequence[Path]):
        self.files = [file for folder in folders for file in image_files(folder)]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Image:
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
        image, mask = read_image(self.files[index]), read_gray(self.masks[index])
        if image.shape[:2] != mask.shape:
            raise InputError(f"{self.masks[index]}: not of the size of its image; replace it")
        mask = np.where(mask > 127, 255, 0).astype(np.uint8)
        if not mask.any():
            raise InputError(f"{self.masks[index]}: no object in this mask; remove it and its image")
        return Cutout(image, mask)

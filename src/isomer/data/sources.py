"""Where training scenes come from: folders of images, of images with masks, and of videos with masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.data.synthetic import Cutout, Image
from isomer.errors import InputError

_IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def image_files(folder: str | Path) -> list[Path]:
    """List the images of a folder by name.

    Raises:
        InputError: there is no such folder, or no image in it.
    """
    folder = Path(folder)
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in _IMAGES)
    if not files:
        raise InputError(f"{folder}: no images there; name a folder of JPEG or PNG files")
    return files


def read_rgb(path: Path) -> Image:
    """Read an image as RGB, uint8 [H, W, 3]."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path}: not a readable image; replace or remove it")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def read_gray(path: Path) -> NDArray[np.uint8]:
    """Read an image as gray, uint8 [H, W]."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise InputError(f"{path}: not a readable image; replace or remove it")
    return image.astype(np.uint8, copy=False)


def read_backgrounds(folder: str | Path) -> list[Image]:
    """Read every image of a folder."""
    return [read_rgb(path) for path in image_files(folder)]


def read_cutouts(folder: str | Path) -> list[Cutout]:
    """Read `<folder>/images` with `<folder>/masks` of the same stems; images whose mask is empty are left out."""
    masks = {path.stem: path for path in image_files(Path(folder) / "masks")}
    cutouts = []
    for path in image_files(Path(folder) / "images"):
        if path.stem not in masks:
            raise InputError(f"{path}: has no mask of the same name in {folder}/masks; add it or remove the image")
        mask = np.where(read_gray(masks[path.stem]) > 127, 255, 0).astype(np.uint8)
        if mask.any():
            cutouts.append(Cutout(read_rgb(path), mask))
    return cutouts


@dataclass(frozen=True)
class RealPair:
    """Two consecutive frames of a real video and the first one's mask.

    Args:
        first, second: uint8 RGB [H, W, 3].
        mask: uint8 [H, W]: 255 moving object, 0 background, 128 unknown.
    """

    first: Image
    second: Image
    mask: NDArray[np.uint8]


def read_pairs(folder: str | Path, background: tuple[int, ...] = (0,)) -> Iterator[RealPair]:
    """Read the consecutive frames of `<folder>/frames` (numbered) with `<folder>/masks`.

    Args:
        folder: of one sequence.
        background: mask levels that mean background; 255 means object and every other level unknown.
    """
    masks = {path.stem: path for path in image_files(Path(folder) / "masks")}
    frames = image_files(Path(folder) / "frames")
    number = {path: int("".join(c for c in path.stem if c.isdigit())) for path in frames}
    for first, second in zip(frames, frames[1:]):
        if number[second] != number[first] + 1 or first.stem not in masks:
            continue
        levels = read_gray(masks[first.stem])
        mask = np.where(levels == 255, 255, np.where(np.isin(levels, background), 0, 128)).astype(np.uint8)
        yield RealPair(read_rgb(first), read_rgb(second), mask)

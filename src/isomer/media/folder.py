"""A folder of images as a source of frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

from isomer.errors import InputError
from isomer.media.colour import Deep, Tags
from isomer.media.frame import Frame
from isomer.media.image import IMAGE_SUFFIXES, MAX_PIXELS, image_size, is_deep_image, read_deep_image, read_image

DEFAULT_FPS = Fraction(24)
"""Frame rate of a folder, which states none: that of the DAVIS videos."""


class FolderSource:
    """The images of one folder, `files`, in natural order (frame2 before frame10); see `FrameSource`.

    Args:
        path: of the folder.
        fps: frames a second.
        max_pixels: the most that an image may have.
        deep: yield frames that are `deep` where the images are PNGs of 16 bits.

    Raises:
        InputError: there are no images, they differ in size or are too large, or two have the same stem.
    """

    def __init__(
        self, path: str | Path, fps: Fraction = DEFAULT_FPS, max_pixels: int = MAX_PIXELS, *, deep: bool = False
    ) -> None:
        self.path = Path(path)
        self.fps = fps
        self._max_pixels = max_pixels
        self._deep = deep
        try:
            files = [file for file in self.path.iterdir() if _is_image(file)]
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
            ) from error
        self.files = sorted(files, key=lambda file: natural_order(file.name))
        if not self.files:
            formats = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
            raise InputError(f"{self.path}: no images in this folder; give one with {formats} files")
        self.count: int | None = len(self.files)
        self._check_stems()
        self.size = image_size(self.files[0], max_pixels)
        for file in self.files[1:]:
            self._check_size(file, image_size(file, max_pixels))

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images; raises InputError at one that cannot be decoded."""
        for index, file in enumerate(self.files):
            image = read_image(file, self._max_pixels)
            self._check_size(file, (image.shape[1], image.shape[0]))  # the folder may have changed since
            at_depth = partial(_at_depth, file, self._max_pixels) if self._deep and is_deep_image(file) else None
            yield Frame(index, image, float(index / self.fps), file.stem, float(1 / self.fps), at_depth)

    def _check_stems(self) -> None:
        seen: set[str] = set()
        for file in self.files:
            if file.stem in seen:
                raise InputError(f"{self.path}: two images are named {file.stem}; keep one of them")
            seen.add(file.stem)

    def _check_size(self, file: Path, size: tuple[int, int]) -> None:
        if size != self.size:
            first, other = (f"{width}x{height}" for width, height in (self.size, size))
            raise InputError(
                f"{self.path}: {file.name} is {other} but {self.files[0].name} is {first}; give frames of one size"
            )


def _at_depth(file: Path, max_pixels: int) -> Deep:
    return Deep(read_deep_image(file, max_pixels), Tags())


def _is_image(file: Path) -> bool:
    """Whether it is named as one and is a file, or a link to nothing, which stands for a frame that is lost."""
    is_named = file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")
    return is_named and (file.is_file() or (file.is_symlink() and not file.exists()))


def natural_order(name: str) -> list[str | tuple[int, str]]:
    """Sort key of names, of files or of any length, that puts frame2 before frame10."""
    numbers_after_text = enumerate(re.split(r"([0-9]+)", name))
    return [(len(part.lstrip("0")), part.lstrip("0")) if index % 2 else part for index, part in numbers_after_text]

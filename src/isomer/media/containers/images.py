"""Images, one a frame: in a folder, or in a zip."""

from __future__ import annotations

import warnings
import zipfile
from abc import abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from isomer.files import Stage
from isomer.media import exr, png, tiff
from isomer.media.colour import linear_light
from isomer.media.containers.container import Container, as_text
from isomer.media.frame import Frame, Pixels, Source, pixel_aspect, tags_of_source
from isomer.media.image import encode_deep_image, encode_image


class ImageFolder(Container):
    """Images in a folder, `<frame.name>` and the suffix.

    Those that an earlier run left there go when this one's are put in their place. All other files stay, and a warning
    says so at once if there are images among them.

    Args:
        path: of the folder.
        source: where the frames come from.
        stage: where it is written.
        is_shared: whether other runs write images into the same folder, so that all stay.
    """

    suffix: str
    """Of the images."""

    def __init__(self, path: Path, source: Source, stage: Stage, *, is_shared: bool = False) -> None:
        self._is_shared = is_shared
        super().__init__(path, source, stage)

    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        self._stage = stage
        self._folder = stage.folder(self.path)
        self._earlier = set[str]()  # names of files of an earlier run that this one does not write
        if not self._is_shared:
            self._look_around()
        resources.push(self._finish)

    def _look_around(self) -> None:
        others = []
        for file in sorted(self.path.glob(f"*{self.suffix}")):
            if self._is_ours(file):
                self._earlier.add(file.name)
            else:
                others.append(file.name)
        if others:
            warnings.warn(
                f"{self.path}: holds images of others, such as {others[0]}; those that get no new one stay",
                stacklevel=2,
            )

    def _put(self, frame: Frame, picture: Pixels) -> None:
        name = f"{frame.name}{self.suffix}"
        (self._folder / name).write_bytes(self._encode(picture))
        self._earlier.discard(name)

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for name in self._earlier:
                self._stage.remove(self.path / name)

    @abstractmethod
    def _is_ours(self, file: Path) -> bool:
        """Whether this program wrote an image."""

    @abstractmethod
    def _encode(self, picture: Pixels) -> bytes:
        """Return the file of a picture, which tells that this program wrote it."""


class PNGFolder(ImageFolder):
    """PNGs in a folder.

    Args:
        path: of the folder.
        source: where the frames come from.
        stage: where it is written.
        encode: gives the PNG of a picture.
        is_shared: see `ImageFolder`.
    """

    suffix = ".png"

    def __init__(
        self,
        path: Path,
        source: Source,
        stage: Stage,
        *,
        encode: Callable[[Any], bytes] = encode_image,
        is_shared: bool = False,
    ) -> None:
        self._encoded = encode
        super().__init__(path, source, stage, is_shared=is_shared)

    def _is_ours(self, file: Path) -> bool:
        return png.is_signed(file)

    def _encode(self, picture: Pixels) -> bytes:
        return png.signed(self._encoded(picture))


def deep_pngs(path: Path, source: Source, stage: Stage) -> PNGFolder:
    """PNGs of 16 bits in a folder, in the colours of the source."""
    return PNGFolder(path, source, stage, encode=partial(encode_deep_image, tags=tags_of_source(source)))


class EXRFolder(ImageFolder):
    """OpenEXR images in a folder: linear light of BT.709, in which 1 is the white of SDR; alpha is premultiplied."""

    suffix = ".exr"

    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        self._tags, self._aspect = tags_of_source(source), pixel_aspect(source)
        super()._open(source, stage, resources)

    def _is_ours(self, file: Path) -> bool:
        return exr.is_signed(file)

    def _encode(self, picture: Pixels) -> bytes:
        light = linear_light(np.ascontiguousarray(picture[..., :3]), self._tags)
        if picture.shape[2] == 4:
            alpha = picture[..., 3:].astype(np.float32) / np.iinfo(picture.dtype).max
            light = np.concatenate((light * alpha, alpha), axis=2)
        return exr.encode(light, float(self._aspect))


class TIFFFolder(ImageFolder):
    """TIFFs of 16 bits in a folder, RGBA in the colours of the source.

    Args:
        path: of the folder.
        source: where the frames come from.
        stage: where it is written.
        premultiplied: whether the pictures' colours are multiplied with their opacity.
    """

    suffix = ".tiff"

    def __init__(self, path: Path, source: Source, stage: Stage, *, premultiplied: bool = False) -> None:
        self._premultiplied, self._aspect = premultiplied, pixel_aspect(source)
        super().__init__(path, source, stage)

    def _is_ours(self, file: Path) -> bool:
        return tiff.is_signed(file)

    def _encode(self, picture: Pixels) -> bytes:
        return tiff.encode(picture, premultiplied=self._premultiplied, pixel_aspect=self._aspect)


class PNGZip(Container):
    """PNGs in a zip, `<frame.name>.png`."""

    suffixes = (".zip",)

    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        self._zip = resources.enter_context(zipfile.ZipFile(stage.file(self.path), "w"))

    def _put(self, frame: Frame, picture: Pixels) -> None:
        entry = zipfile.ZipInfo(as_text(f"{frame.name}.png"))  # dated 1980: the same masks, the same bytes
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, encode_image(picture))

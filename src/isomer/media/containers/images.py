"""PNG images, one a frame: in a folder, or in a zip."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isomer.files import Stage
from isomer.media import png
from isomer.media.containers.container import Container, as_text
from isomer.media.frame import Frame, Source
from isomer.media.image import encode_image


class PNGFolder(Container):
    """PNGs in a folder, `<frame.name>.png`.

    Those that an earlier run left there go when this one's are put in their place. All other files stay, and a warning
    says so at once if there are images among them.

    Args:
        path: of the folder.
        source: where the frames come from.
        stage: where it is written.
        encode: gives the PNG of a picture.
        is_shared: whether other runs write images into the same folder, so that all stay.
    """

    def __init__(
        self,
        path: Path,
        source: Source,
        stage: Stage,
        *,
        encode: Callable[[NDArray[np.uint8]], bytes] = encode_image,
        is_shared: bool = False,
    ) -> None:
        self._encode = encode
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
        for file in sorted(self.path.glob("*.png")):
            if png.is_signed(file):
                self._earlier.add(file.name)
            else:
                others.append(file.name)
        if others:
            warnings.warn(
                f"{self.path}: holds images of others, such as {others[0]}; those that get no new one stay",
                stacklevel=2,
            )

    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        name = f"{frame.name}.png"
        (self._folder / name).write_bytes(png.signed(self._encode(picture)))
        self._earlier.discard(name)

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for name in self._earlier:
                self._stage.remove(self.path / name)


class PNGZip(Container):
    """PNGs in a zip, `<frame.name>.png`."""

    suffixes = (".zip",)

    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        self._zip = resources.enter_context(zipfile.ZipFile(stage.file(self.path), "w"))

    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        entry = zipfile.ZipInfo(as_text(f"{frame.name}.png"))  # dated 1980: the same masks, the same bytes
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, encode_image(picture))

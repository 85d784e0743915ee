"""What all containers have in common."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import av

from isomer.errors import InputError
from isomer.files import Stage, said_of
from isomer.media.frame import Frame, Pixels, Source


class Container(ABC):
    """A file or a folder that takes the pictures of a source's frames, in order.

    A context manager: leaving it finishes what is written, an error inside gives it up; the stage then puts it in its
    place or removes it. It is opened at once, so that what cannot be written is known before any work.

    Args:
        path: of the file or folder.
        source: where the frames come from: its size and frame rate are the output's.
        stage: where it is written.

    Raises:
        InputError: it cannot be written (also from `write` and from leaving it), is the input itself, or has a
            suffix that is not of its format.
    """

    suffixes: tuple[str, ...] = ()
    """Of a file, in lower case; a folder has none."""

    def __init__(self, path: Path, source: Source, stage: Stage) -> None:
        self.path = path
        if path.resolve() == source.path.resolve():
            raise InputError(f"{path}: is the input itself; choose another output")
        if self.suffixes and path.suffix.lower() not in self.suffixes:
            raise InputError(f"{path}: not a format for this output; use {' or '.join(self.suffixes)}")
        with self._said(), ExitStack() as resources:
            self._open(source, stage, resources)
            self._resources = resources.pop_all()

    @abstractmethod
    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        """Open the file or folder; what finishes it, or gives it up, goes on `resources`."""

    def write(self, frame: Frame, draw: Callable[[], Pixels]) -> None:
        """Add a frame.

        Args:
            frame: gives its name, its time and for how long it stays.
            draw: gives its picture, gray [H, W], RGB [H, W, 3] or RGBA [H, W, 4], uint8 or, at the source's depth,
                uint16; it is not called where the container leaves the frame out.
        """
        picture = draw()
        with self._said():
            self._put(frame, picture)

    @abstractmethod
    def _put(self, frame: Frame, picture: Pixels) -> None:
        """Write the picture of a frame."""

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._said():
            self._resources.__exit__(kind, error, trace)

    @contextmanager
    def _said(self) -> Iterator[None]:
        """Say in one line what the system or FFmpeg could not write."""
        with said_of(self.path):
            try:
                yield
            except av.error.FFmpegError as error:
                raise OSError(error.errno, error.strerror) from error


def as_text(name: str) -> str:
    """Return the name of a frame for where names are text: bytes that are none, which no encoding has, as %XX."""
    return re.sub("[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", name)

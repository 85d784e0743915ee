"""Middlebury `.flo` files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from isomer.errors import InputError
from isomer.files import atomic_path, said_of
from isomer.flow.estimator import Flow
from isomer.media import Frame
from isomer.media.image import read_bytes

_HEADER = struct.Struct("<4sii")  # tag, width, height; then u and v of each pixel, float32, row by row
_TAG = b"PIEH"


def read_flo(path: str | Path) -> Flow:
    """Read a flow, float32 [H, W, 2].

    Raises:
        InputError: the file is missing or no `.flo` file.
    """
    data = read_bytes(path)
    tag, width, height = _HEADER.unpack(data[: _HEADER.size].ljust(_HEADER.size, b"\0"))
    if tag != _TAG or min(width, height) < 1 or len(data) < _HEADER.size + 8 * width * height:
        raise InputError(f"{path}: not a readable .flo file; compute the flow again")
    return np.frombuffer(data, "<f4", 2 * width * height, _HEADER.size).reshape(height, width, 2).astype(np.float32)


def write_flo(path: str | Path, flow: Flow) -> None:
    """Write a flow, float32 [H, W, 2].

    Raises:
        InputError: the file cannot be written.
    """
    height, width = flow.shape[:2]
    with atomic_path(path) as temporary, said_of(Path(path)):
        temporary.write_bytes(_HEADER.pack(_TAG, width, height) + flow.astype("<f4").tobytes())


class FlowFiles:
    """Flow computed beforehand: `<folder>/<name of the source frame>.flo`.

    The files hold forward flow to the next frame, so this estimator goes with `max_step=1` and no stride; where
    a frame has no file, as the last one often has not, the flow back from the frame before is taken.
    """

    def __init__(self, folder: str | Path):
        self._folder = Path(folder)

    def __call__(self, source: Frame, target: Frame) -> Flow:
        """Return the stored flow from `source`, or the negated stored flow of `target` for a backward pair.

        Raises:
            InputError: the frames are not neighbours, or the file is missing or no `.flo` file.
        """
        if abs(target.index - source.index) != 1:
            raise InputError(
                f"{self._folder}: holds no flow from frame {source.name} to {target.name}, only between neighbours; "
                "give max_step=1 and no stride"
            )
        if target.index < source.index:
            return -read_flo(self._folder / f"{target.name}.flo")
        return read_flo(self._folder / f"{source.name}.flo")

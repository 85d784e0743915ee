"""Optical flow as 16-bit PNGs, the format of the KITTI benchmark: steps of 1/64 pixel up to 512 pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from isomer.errors import InputError
from isomer.files import atomic_path
from isomer.flow import Flow
from isomer.media.image import decode_stored, read_bytes


def write_kitti_flow(path: str | Path, flow: Flow) -> None:
    """Write a flow, float32 [H, W, 2] in pixels, as a 16-bit `.png`; every vector is marked valid.

    Raises:
        InputError: the file cannot be written.
    """
    levels = np.clip(np.rint(flow * 64.0) + 2**15, 0, 2**16 - 1)
    channels = [np.ones_like(levels[..., 0]), levels[..., 1], levels[..., 0]]  # BGR: valid, y, x
    _, data = cv2.imencode(".png", np.stack(channels, -1).astype(np.uint16), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    with atomic_path(path) as temporary:
        try:
            temporary.write_bytes(data.tobytes())
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); make room") from error


def read_kitti_flow(path: str | Path) -> Flow:
    """Read a flow, float32 [H, W, 2] in pixels; vectors that the file marks invalid are 0.

    Raises:
        InputError: the file is missing or no 16-bit PNG of three channels.
    """
    levels = decode_stored(read_bytes(path), path)
    if levels.dtype != np.uint16 or levels.ndim != 3:
        raise InputError(f"{path}: not optical flow as a 16-bit PNG; compute it again with isomer prepare")
    flow = (np.asarray(levels[..., :0:-1], np.float32) - 2**15) / 64
    flow[levels[..., 0] == 0] = 0
    return flow.astype(np.float32)

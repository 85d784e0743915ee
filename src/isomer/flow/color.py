"""Optical flow as a colour image: hue is direction, saturation is speed (Baker et al., IJCV 2011)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow.estimator import Flow

_ANGLES, _SPEEDS = 4096, 255  # steps of the colour table: its error stays below one gray level


def _wheel() -> NDArray[np.float64]:
    """Build the 55 colours of the Middlebury wheel: [55, 3], RGB in [0, 1]."""
    corners = ((1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 1, 1), (0, 0, 1), (1, 0, 1), (1, 0, 0))  # red to red
    steps = (15, 6, 4, 11, 13, 6)
    return np.concatenate([
        np.linspace(start, end, count, endpoint=False)
        for start, end, count in zip(corners, corners[1:], steps, strict=False)
    ])  # fmt: skip


def _colour_table() -> NDArray[np.uint8]:
    """Build the colours of all speeds, white first, and all directions in [0, 2 pi]: [_SPEEDS + 1, _ANGLES + 1, 3].

    The wheel is laid out over [-pi, pi] of the direction opposite to the vector, and its last colour does
    not lead back to the first: both are the original code's.
    """
    wheel = _wheel()
    angle = np.arange(_ANGLES + 1) % _ANGLES * (2 * np.pi / _ANGLES)
    opposite = np.arctan2(-np.sin(angle), -np.cos(angle)) / np.pi
    position = (opposite + 1) / 2 * (len(wheel) - 1)
    low = np.floor(position).astype(int)
    weight = (position - low)[:, None]
    colour = (1 - weight) * wheel[low] + weight * wheel[(low + 1) % len(wheel)]
    table = np.empty((_SPEEDS + 1, *colour.shape), np.uint8)
    # Row by row: all at once, fetching memory takes longer than the sums.
    for row, saturation in zip(table, np.linspace(0, 1, _SPEEDS + 1), strict=True):
        row[:] = 255 * (1 - saturation * (1 - colour))
    return table


_TABLE = _colour_table()


def motion_scale(flow: Flow, floor: float = 1 / 256) -> float:
    """Return the speed, in pixels, that is drawn at full saturation.

    It is the 99th percentile of the speed, or `floor` times the flow's diagonal where that is more: a still
    scene stays white instead of becoming its own amplified noise.
    """
    speed = np.hypot(flow[::4, ::4, 0], flow[::4, ::4, 1])
    return max(float(np.percentile(speed, 99)), floor * float(np.hypot(*flow.shape[:2])))


def flow_to_image(flow: Flow, scale: float | None = None) -> NDArray[np.uint8]:
    """Colour a flow [h, w, 2]: white where nothing moves, saturated at `scale` pixels and beyond.

    Args:
        flow: float32 [h, w, 2], in pixels.
        scale: the speed at full saturation; `motion_scale(flow)` by default.

    Returns:
        uint8 RGB [h, w, 3].
    """
    speed, angle = cv2.cartToPolar(np.ascontiguousarray(flow[..., 0]), np.ascontiguousarray(flow[..., 1]))
    row = np.minimum(speed * (_SPEEDS / (scale or motion_scale(flow))), _SPEEDS)
    column = angle * np.float32(_ANGLES / (2 * np.pi))
    return cv2.remap(_TABLE, column, row, cv2.INTER_NEAREST).astype(np.uint8, copy=False)

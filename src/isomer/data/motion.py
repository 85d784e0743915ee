"""How things move in a synthetic scene: smooth functions of time, in frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]  # 3x3, homogeneous
Point = tuple[float, float]


class Movement(Protocol):
    """A transform of the plane that depends on time."""

    def matrix(self, t: float) -> Matrix:
        """Return where frame 0's pixels are at time t: float64 [3, 3]."""
        ...


@dataclass(frozen=True)
class Motion:
    """A similarity that grows with time, about a centre in pixels; shift, rotation and log zoom are per frame."""

    centre: Point
    shift: Point = (0.0, 0.0)
    rotation: float = 0.0
    zoom: float = 0.0

    def matrix(self, t: float) -> Matrix:
        """Return where frame 0's pixels are at time t: float64 [3, 3]."""
        moved = similarity(self.rotation * t, float(np.exp(self.zoom * t)), self.centre, self.centre)
        moved[:2, 2] += np.multiply(self.shift, t)
        return moved


@dataclass(frozen=True)
class Swing:
    """A rotation to and fro about a joint, as limbs have: amplitude * sin(phase + rate * t), in radians."""

    joint: Point
    amplitude: float
    phase: float
    rate: float

    def matrix(self, t: float) -> Matrix:
        """Return where frame 0's pixels are at time t: float64 [3, 3]."""
        return similarity(self.amplitude * np.sin(self.phase + self.rate * t), 1.0, self.joint, self.joint)


@dataclass(frozen=True)
class Bounce:
    """A shift to and fro, as a body on springs or legs has: amplitude (x, y) * sin(phase + rate * t), in pixels."""

    amplitude: Point
    phase: float
    rate: float

    def matrix(self, t: float) -> Matrix:
        """Return where frame 0's pixels are at time t: float64 [3, 3]."""
        share = np.sin(self.phase + self.rate * t)
        return np.array([[1, 0, self.amplitude[0] * share], [0, 1, self.amplitude[1] * share], [0, 0, 1]])


@dataclass(frozen=True)
class Deformation:
    """A smooth displacement of frame pixels, as bodies that are not rigid have: field * sin(phase + rate * t)."""

    field: NDArray[np.float32]  # [H, W, 2], pixels
    phase: float
    rate: float

    def at(self, t: float) -> NDArray[np.float32]:
        """Return the displacement at time t: float32 [H, W, 2]."""
        return self.field * np.float32(np.sin(self.phase + self.rate * t))


def similarity(angle: float, scale: float, source: Point, target: Point, *, mirror: bool = False) -> Matrix:
    """Return the transform that takes `source` to `target`, turned by `angle` and scaled, perhaps mirrored first."""
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    sign = -1 if mirror else 1
    linear = np.array([[a * sign, -b], [b * sign, a]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = np.subtract(target, linear @ source)
    return matrix

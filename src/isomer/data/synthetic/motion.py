"""How things move in a synthetic scene: smooth functions of time, in frames."""

from __future__ import annotations

from collections.abc import Sequence
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
    """A similarity that grows with time, about a centre; shift, rotation and log zoom are per frame."""

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
    """A shift to and fro, as bodies on springs have: amplitude (x, y), in pixels, * sin(phase + rate * t)."""

    amplitude: Point
    phase: float
    rate: float

    def matrix(self, t: float) -> Matrix:
        """Return where frame 0's pixels are at time t: float64 [3, 3]."""
        share = np.sin(self.phase + self.rate * t)
        return np.array([[1, 0, self.amplitude[0] * share], [0, 1, self.amplitude[1] * share], [0, 0, 1]])


class Displacement(Protocol):
    """A displacement of frame pixels that depends on time."""

    def at(self, t: float) -> NDArray[np.float32]:
        """Return how far from a pixel the place lies that it shows at time t: float32 [H, W, 2], pixels."""
        ...


@dataclass(frozen=True)
class Deformation:
    """A smooth displacement of frame pixels, as soft bodies have: field * sin(phase + rate * t)."""

    field: NDArray[np.float32]  # [H, W, 2], pixels
    phase: float
    rate: float

    def at(self, t: float) -> NDArray[np.float32]:
        """Return the displacement at time t: float32 [H, W, 2]."""
        return np.asarray(self.field * np.sin(self.phase + self.rate * t), np.float32)


@dataclass(frozen=True)
class Relief:
    """The parallax of a background that is not flat: what is nearer shifts by more as the camera moves.

    Args:
        nearness: float32 [H, W], the additional shift as a share of `shift`.
        shift: (x, y) of the flat background, pixels per frame.
    """

    nearness: NDArray[np.float32]
    shift: Point

    def at(self, t: float) -> NDArray[np.float32]:
        """Return the displacement at time t: float32 [H, W, 2]."""
        return np.asarray(self.nearness[..., None] * np.multiply(self.shift, -t), np.float32)


@dataclass(frozen=True)
class Sum:
    """Displacements added up."""

    parts: Sequence[Displacement]

    def at(self, t: float) -> NDArray[np.float32]:
        """Return the displacement at time t: float32 [H, W, 2]."""
        return np.asarray(sum(part.at(t) for part in self.parts), np.float32)


def similarity(angle: float, scale: float, source: Point, target: Point, *, mirror: bool = False) -> Matrix:
    """Return the transform that takes `source` to `target`: maybe mirrored, turned by `angle`, and scaled."""
    a, b = scale * np.cos(angle), scale * np.sin(angle)
    sign = -1 if mirror else 1
    linear = np.array([[a * sign, -b], [b * sign, a]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = np.subtract(target, linear @ source)
    return matrix

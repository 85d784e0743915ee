"""Synthetic motion: still images become short scenes whose objects and camera move.

A scene is a stack of layers, back to front. Each layer is an image with alpha whose place in frame t is a
smooth function of t, so any frame, its mask and its exact optical flow can be rendered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Matrix = NDArray[np.float64]  # 3x3, homogeneous


@dataclass(frozen=True)
class Motion:
    """A similarity that grows with time, about a centre in pixels; shift, rotation and log zoom are per frame."""

    centre: tuple[float, float]
    shift: tuple[float, float] = (0.0, 0.0)
    rotation: float = 0.0
    zoom: float = 0.0

    def matrix(self, t: float) -> Matrix:
        """Return the transform of frame 0's pixels to frame t's: float64 [3, 3]."""
        (cx, cy), (dx, dy) = self.centre, self.shift
        angle, scale = self.rotation * t, np.exp(self.zoom * t)
        a, b = scale * np.cos(angle), scale * np.sin(angle)
        return np.array([
            [a, -b, cx - a * cx + b * cy + dx * t],
            [b, a, cy - b * cx - a * cy + dy * t],
            [0, 0, 1],
        ])  # fmt: skip


@dataclass(frozen=True)
class Deformation:
    """A smooth displacement of frame pixels, as non-rigid bodies have: field * sin(phase + rate * t)."""

    field: NDArray[np.float32]  # [H, W, 2], pixels
    phase: float
    rate: float

    def at(self, t: float) -> NDArray[np.float32]:
        """Return the displacement at time t: float32 [H, W, 2]."""
        return self.field * np.float32(np.sin(self.phase + self.rate * t))


@dataclass(frozen=True)
class Layer:
    """One image with alpha and its motion.

    Args:
        image: uint8 RGB [h, w, 3].
        alpha: uint8 [h, w], or None for a background, which is mirrored at its borders.
        placement: image pixels to frame pixels at t = 0, float64 [3, 3].
        motion: the layer's own, under the camera's.
        parallax: share of the camera's motion that the layer sees.
        deformation: of a body that is not rigid.
        primary: whether the layer counts as the primary object in the mask.
    """

    image: Image
    alpha: Mask | None
    placement: Matrix
    motion: Motion
    parallax: float = 1.0
    deformation: Deformation | None = None
    primary: bool = False

    def matrix(self, camera: Motion, t: float) -> Matrix:
        """Return image pixels to frame pixels at time t: float64 [3, 3]."""
        return camera.matrix(t * self.parallax) @ self.motion.matrix(t) @ self.placement

    def render(self, camera: Motion, size: tuple[int, int], t: float) -> tuple[Image, Mask | None]:
        """Return the layer as frame t sees it: uint8 [H, W, 3] and its alpha [H, W]; `size` is (W, H)."""
        matrix = self.matrix(camera, t)
        if self.deformation is None:
            args = (matrix[:2], size)
            image = cv2.warpAffine(self.image, *args, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            alpha = None if self.alpha is None else cv2.warpAffine(self.alpha, *args, flags=cv2.INTER_LINEAR)
        else:
            inverse = np.linalg.inv(matrix)[:2].astype(np.float32)
            points = _grid(size) + self.deformation.at(t)
            lookup = points @ inverse[:, :2].T + inverse[:, 2]
            image = cv2.remap(self.image, lookup, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            alpha = None if self.alpha is None else cv2.remap(self.alpha, lookup, None, cv2.INTER_LINEAR)
        return image, alpha  # type: ignore[return-value]

    def flow(self, camera: Motion, size: tuple[int, int], start: float, end: float) -> NDArray[np.float32]:
        """Return where the layer's pixels of frame `start` are in frame `end`: displacement, [H, W, 2]."""
        step = (self.matrix(camera, end) @ np.linalg.inv(self.matrix(camera, start)))[:2].astype(np.float32)
        grid = _grid(size)
        rigid = grid if self.deformation is None else grid + self.deformation.at(start)
        rigid = rigid @ step[:, :2].T + step[:, 2]
        if self.deformation is None:
            return rigid - grid
        # The frame pixel q that shows the point: q + d(q) = rigid, by fixed-point iteration.
        displacement, q = self.deformation.at(end), rigid
        for _ in range(4):
            q = rigid - cv2.remap(displacement, q, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return (q - grid).astype(np.float32)


@dataclass(frozen=True)
class Scene:
    """Layers, back to front, seen by a moving camera. The first layer is an opaque background."""

    layers: Sequence[Layer]
    camera: Motion
    size: tuple[int, int]  # (W, H)

    def render(self, t: float) -> tuple[Image, Mask]:
        """Return frame t, uint8 RGB [H, W, 3], and the visible mask of the primary object, 0/255 [H, W]."""
        frame = np.zeros((self.size[1], self.size[0], 3), np.uint8)
        mask = np.zeros(frame.shape[:2], np.uint8)
        for layer in self.layers:
            image, alpha = layer.render(self.camera, self.size, t)
            if alpha is None:
                frame = image
                continue
            weight = alpha.astype(np.uint16)[..., None]
            frame = ((image * weight + frame * (255 - weight) + 127) // 255).astype(np.uint8)
            mask[alpha > 127] = 255 if layer.primary else 0
        return frame, mask

    def flow(self, start: float, end: float) -> NDArray[np.float32]:
        """Return the exact flow from frame `start` to frame `end`: float32 [H, W, 2], pixels."""
        flow = np.zeros((self.size[1], self.size[0], 2), np.float32)
        for layer in self.layers:
            _, alpha = layer.render(self.camera, self.size, start)
            visible = np.ones(flow.shape[:2], bool) if alpha is None else alpha > 127
            flow[visible] = layer.flow(self.camera, self.size, start, end)[visible]
        return flow


def _grid(size: tuple[int, int]) -> NDArray[np.float32]:
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    return np.stack([x, y], -1)


@dataclass(frozen=True)
class Cutout:
    """An image with the mask of its salient object.

    Args:
        image: uint8 RGB [H, W, 3].
        mask: uint8 0/255 [H, W].
    """

    image: Image
    mask: Mask

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """The object's bounding box x, y, width, height."""
        x, y, w, h = cv2.boundingRect(self.mask)
        return x, y, w, h

    @cached_property
    def alpha(self) -> Mask:
        """The mask with a soft edge, drawn in by a pixel so that no background shines through."""
        return cv2.blur(cv2.erode(self.mask, np.ones((3, 3), np.uint8)), (3, 3)).astype(np.uint8, copy=False)

    @cached_property
    def background(self) -> Image:
        """The image with the object painted over from its surroundings."""
        small = cv2.resize(self.image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        hole = cv2.resize(self.mask, (small.shape[1], small.shape[0]), interpolation=cv2.INTER_AREA)
        hole = cv2.dilate((hole > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
        filled = cv2.inpaint(small, hole, 3, cv2.INPAINT_TELEA)
        filled = cv2.resize(filled, self.mask.shape[::-1], interpolation=cv2.INTER_CUBIC)
        weight = cv2.blur(cv2.dilate(self.mask, np.ones((9, 9), np.uint8)), (7, 7))[..., None] / np.float32(255)
        return (weight * filled + (1 - weight) * self.image).astype(np.uint8)


@dataclass(frozen=True)
class SceneSampler:
    """Draw random scenes from cut-outs and backgrounds.

    Args:
        cutouts: groups of cut-outs; a group is drawn first, by `weights`, then one of its members.
        weights: of the groups, summing to one.
        backgrounds: uint8 RGB images.
        size: (W, H) of the frames.
    """

    cutouts: Sequence[Sequence[Cutout]]
    weights: Sequence[float]
    backgrounds: Sequence[Image]
    size: tuple[int, int]
    centre: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", (self.size[0] / 2, self.size[1] / 2))

    def __call__(self, rng: np.random.Generator) -> Scene:
        """Draw a scene; all that happens in it is a function of the generator's state."""
        camera = self._camera(rng)
        kind = rng.choice(["in place", "composed", "empty"], p=[0.5, 0.45, 0.05])
        if kind == "in place":
            layers = self._in_place(rng)
        else:
            layers = [self._background(rng)]
            for _ in range(rng.choice(3, p=[0.4, 0.4, 0.2])):  # things that stand still in the world
                layers.append(self._composed(rng, primary=False, parallax=rng.uniform(1, 1.3)))
            for _ in range(0 if kind == "empty" else rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1])):
                layers.append(self._composed(rng, primary=True))
        if rng.random() < 0.25:
            layers.append(self._occluder(rng))
        return Scene(layers, camera, self.size)

    def _camera(self, rng: np.random.Generator) -> Motion:
        if rng.random() < 0.15:
            return Motion(self.centre)
        speed = self._speed(rng, 0.012)
        angle = rng.uniform(0, 2 * np.pi)
        shift = (speed * np.cos(angle), 0.5 * speed * np.sin(angle))
        return Motion(self.centre, shift, rng.normal(0, 0.006), rng.normal(0, 0.01))

    def _speed(self, rng: np.random.Generator, median: float) -> float:
        """Draw pixels per frame, log-normal about a share of the frame's diagonal."""
        return float(np.hypot(*self.size) * median * np.exp(rng.normal(0, 0.8)))

    def _object_motion(self, rng: np.random.Generator, centre: tuple[float, float]) -> Motion:
        speed, angle = self._speed(rng, 0.016), rng.uniform(0, 2 * np.pi)
        shift = (speed * np.cos(angle), 0.6 * speed * np.sin(angle))
        return Motion(centre, shift, rng.normal(0, 0.03), rng.normal(0, 0.02))

    def _deformation(self, rng: np.random.Generator, extent: float) -> Deformation | None:
        if rng.random() < 0.3:
            return None
        nodes = rng.normal(0, extent * rng.uniform(0.01, 0.08), (rng.integers(3, 6), rng.integers(3, 6), 2))
        smooth = cv2.resize(nodes.astype(np.float32), self.size, interpolation=cv2.INTER_CUBIC)
        return Deformation(smooth.astype(np.float32), rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 1.0))

    def _cutout(self, rng: np.random.Generator) -> Cutout:
        group = self.cutouts[rng.choice(len(self.cutouts), p=self.weights)]
        return group[rng.integers(len(group))]

    def _cover(self, rng: np.random.Generator, image: Image, most: float) -> Matrix:
        """Place an image so that it covers the frame, up to `most` times larger, perhaps mirrored."""
        height, width = image.shape[:2]
        scale = max(self.size[0] / width, self.size[1] / height) * rng.uniform(1, most)
        spare = (self.size[0] - width * scale, self.size[1] - height * scale)
        x, y = spare[0] * rng.random(), spare[1] * rng.random()
        if rng.random() < 0.5:
            return np.array([[-scale, 0, x + width * scale], [0, scale, y], [0, 0, 1]])
        return np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]])

    def _background(self, rng: np.random.Generator) -> Layer:
        """Take a photograph without objects, or one whose object is painted over."""
        if rng.random() < 0.6:
            image = self.backgrounds[rng.integers(len(self.backgrounds))]
        else:
            image = self._cutout(rng).background
        return Layer(image, None, self._cover(rng, image, 1.6), Motion(self.centre))

    def _in_place(self, rng: np.random.Generator) -> list[Layer]:
        """Let an object move out of its own photograph."""
        cutout = self._cutout(rng)
        placement = self._cover(rng, cutout.image, 1.4)
        x, y, w, h = cutout.box
        cx, cy, _ = placement @ (x + w / 2, y + h / 2, 1)
        still = rng.random() < 0.12
        motion = Motion((cx, cy)) if still else self._object_motion(rng, (cx, cy))
        deformation = None if still else self._deformation(rng, abs(placement[0, 0]) * max(w, h))
        return [
            Layer(cutout.background, None, placement, Motion(self.centre)),
            Layer(cutout.image, cutout.alpha, placement, motion, 1.0, deformation, primary=True),
        ]

    def _composed(self, rng: np.random.Generator, *, primary: bool, parallax: float = 1.0) -> Layer:
        """Put a cut-out somewhere in the frame."""
        cutout = self._cutout(rng)
        x, y, w, h = cutout.box
        side = min(self.size) * np.exp(rng.uniform(np.log(0.18), np.log(0.95)))
        scale = side / max(w, h)
        mirror = -1 if rng.random() < 0.5 else 1
        angle = rng.normal(0, 0.15)
        cx, cy = rng.uniform(0.1, 0.9) * self.size[0], rng.uniform(0.2, 0.85) * self.size[1]
        a, b = scale * np.cos(angle), scale * np.sin(angle)
        linear = np.array([[a * mirror, -b], [b * mirror, a]])
        placement = np.eye(3)
        placement[:2, :2] = linear
        placement[:2, 2] = (cx, cy) - linear @ (x + w / 2, y + h / 2)
        motion = self._object_motion(rng, (cx, cy)) if primary else Motion((cx, cy))
        deformation = self._deformation(rng, side) if primary else None
        return Layer(cutout.image, cutout.alpha, placement, motion, parallax, deformation, primary)

    def _occluder(self, rng: np.random.Generator) -> Layer:
        """Hide a part of the scene behind a textured blob or post in the foreground."""
        texture = self.backgrounds[rng.integers(len(self.backgrounds))]
        height, width = texture.shape[:2]
        alpha = np.zeros((height, width), np.uint8)
        centre = (int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.3, 0.9) * height))
        if rng.random() < 0.5:
            axes = (int(rng.uniform(0.03, 0.08) * width), height)
        else:
            axes = (int(rng.uniform(0.08, 0.25) * width), int(rng.uniform(0.08, 0.25) * height))
        cv2.ellipse(alpha, centre, axes, rng.uniform(-20, 20), 0, 360, 255, -1, cv2.LINE_AA)
        return Layer(texture, alpha, self._cover(rng, texture, 1.0), Motion(self.centre), rng.uniform(1.0, 1.6))

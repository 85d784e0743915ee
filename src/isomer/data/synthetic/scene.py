"""Scenes: stacks of layers, back to front, whose every frame, mask and exact optical flow can be rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.data.synthetic.motion import Displacement, Matrix, Motion, Movement

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class Layer:
    """One image with alpha and its motion.

    Args:
        image: uint8 RGB [h, w, 3].
        alpha: uint8 [h, w], or None for a background, which is mirrored at its borders. What is at most half
            opaque, such as a shadow, hides nothing: it has no part in mask and flow.
        placement: image pixels to frame pixels before any motion, float64 [3, 3].
        motions: the layer's own, under the camera's; the last one comes first, as a limb's before its body's.
        parallax: share of the camera's motion that the layer sees.
        deformation: of a body that is not rigid, or of a background that is not flat.
        primary: whether the layer counts as the primary object in the mask.
    """

    image: Image
    alpha: Mask | None
    placement: Matrix
    motions: Sequence[Movement] = ()
    parallax: float = 1.0
    deformation: Displacement | None = None
    primary: bool = False

    def matrix(self, camera: Motion, t: float) -> Matrix:
        """Return image pixels to frame pixels at time t: float64 [3, 3]."""
        steps = (motion.matrix(t) for motion in reversed(self.motions))
        placed = reduce(lambda done, step: step @ done, steps, self.placement)
        return np.asarray(camera.matrix(t * self.parallax) @ placed)

    def render(self, camera: Motion, size: tuple[int, int], t: float) -> tuple[Image, Mask | None]:
        """Return the layer as frame t sees it: uint8 [H, W, 3] and its alpha [H, W]; `size` is (W, H)."""
        matrix = self.matrix(camera, t)
        if self.deformation is None:
            image = cv2.warpAffine(self.image, matrix[:2], size, borderMode=cv2.BORDER_REFLECT_101)
            alpha = None if self.alpha is None else _bytes(cv2.warpAffine(self.alpha, matrix[:2], size))
        else:
            inverse = np.linalg.inv(matrix)[:2].astype(np.float32)
            points = _grid(size) + self.deformation.at(t)
            lookup = points @ inverse[:, :2].T + inverse[:, 2]
            image = _look_up(self.image, lookup, cv2.BORDER_REFLECT_101)
            alpha = None if self.alpha is None else _bytes(_look_up(self.alpha, lookup, cv2.BORDER_CONSTANT))
        return _bytes(image), alpha

    def flow(self, camera: Motion, size: tuple[int, int], start: float, end: float) -> NDArray[np.float32]:
        """Return where the layer's pixels of frame `start` are in frame `end`: displacement, [H, W, 2]."""
        step = (self.matrix(camera, end) @ np.linalg.inv(self.matrix(camera, start)))[:2].astype(np.float32)
        grid = _grid(size)
        rigid = grid if self.deformation is None else grid + self.deformation.at(start)
        rigid = rigid @ step[:, :2].T + step[:, 2]
        if self.deformation is None:
            return np.asarray(rigid - grid, np.float32)
        # The frame pixel q that shows the point: q + d(q) = rigid, by fixed-point iteration.
        displacement, q = self.deformation.at(end), rigid
        for _ in range(4):
            q = rigid - _look_up(displacement, q, cv2.BORDER_REPLICATE)
        return np.asarray(q - grid, np.float32)


class Exposure(NamedTuple):
    """A frame as a camera takes it, and what of it is the primary object.

    Attributes:
        image: uint8 RGB [H, W, 3].
        alpha: the object's share of each pixel, float32 [H, W] in [0, 1].
        colours: of the object alone, float32 RGB [H, W, 3], 0 to 255; black where it has no share.
    """

    image: Image
    alpha: NDArray[np.float32]
    colours: NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """Layers, back to front, seen by a moving camera. The first layer is an opaque background.

    Args:
        layers: at least one.
        camera: moves all of them.
        size: (W, H) of the frames.
        sources: the files the images came from.
    """

    layers: Sequence[Layer]
    camera: Motion
    size: tuple[int, int]
    sources: tuple[str, ...] = ()

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

    def expose(self, t: float, shutter: float = 0.0, samples: int = 1) -> Exposure:
        """Return frame t as the mean of what is seen while the shutter is open, in frames, from t on.

        Args:
            t: in frames.
            shutter: for how long it is open, in frames; what moves meanwhile blurs.
            samples: instants that are averaged, evenly over that time.
        """
        height, width = self.size[1], self.size[0]
        frame, lit = np.zeros((2, height, width, 3), np.float32)  # and the object's part of it
        alpha = np.zeros((height, width), np.float32)
        for instant in t + shutter * np.arange(samples) / samples:
            now = np.zeros((3, height, width, 3), np.float32)  # frame, the object's part of it, and its share
            for layer in self.layers:
                image, opacity = layer.render(self.camera, self.size, float(instant))
                weight = np.float32(1) if opacity is None else (opacity / np.float32(255))[..., None]
                own = np.float32(layer.primary)
                now += weight * (np.stack([image, image * own, np.full_like(frame, own)]) - now)
            frame += now[0]
            lit += now[1]
            alpha += now[2, ..., 0]
        colours = lit / np.maximum(alpha, np.float32(1e-6))[..., None]
        image = np.rint(frame / samples).astype(np.uint8)
        return Exposure(image, np.clip(alpha / np.float32(samples), 0, 1), np.asarray(colours, np.float32))

    def flow(self, start: float, end: float) -> NDArray[np.float32]:
        """Return the exact flow from frame `start` to frame `end`: float32 [H, W, 2], pixels."""
        flow = np.zeros((self.size[1], self.size[0], 2), np.float32)
        for layer in self.layers:
            _, alpha = layer.render(self.camera, self.size, start)
            visible = np.ones(flow.shape[:2], bool) if alpha is None else alpha > 127
            flow[visible] = layer.flow(self.camera, self.size, start, end)[visible]
        return flow


def _look_up(image: NDArray[Any], lookup: NDArray[np.float32], border: int) -> NDArray[Any]:
    """Return what an image shows at the places [H, W, 2], by bilinear interpolation."""
    no_map: Any = None  # both coordinates are in the first one; None, which OpenCV's stubs do not know
    return cv2.remap(image, lookup, no_map, cv2.INTER_LINEAR, borderMode=border)


def _bytes(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(array, np.uint8)


def _grid(size: tuple[int, int]) -> NDArray[np.float32]:
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    return np.stack([x, y], -1)

"""Scenes of cut-outs and photographs: still images become short scenes whose objects and camera move."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.data.stills import Cutout, Cutouts, Photographs
from isomer.data.synthetic.motion import (
    Deformation,
    Displacement,
    Matrix,
    Motion,
    Movement,
    Point,
    Relief,
    Sum,
    Swing,
    similarity,
)
from isomer.data.synthetic.scene import Image, Layer, Mask, Scene


class SceneSampler:
    """Draw random scenes from cut-outs and backgrounds.

    Half of the scenes let an object move out of its own photograph, whose hole is painted over. The others
    compose moving objects, or none, on a background. Both have things that stand still in the world and
    perhaps something that passes in front. Bodies are rigid, bend, or swing a limb; some cast a shadow; some
    enter or leave the frame. The camera pans, zooms, rolls, rests, or follows the object; nearer things, and
    nearer parts of the background, see more of its motion. Some backgrounds ripple as water and leaves do.

    Args:
        cutouts: groups of cut-outs; a group is drawn first, by `weights`, then one of its members.
        weights: of the groups, summing to one.
        backgrounds: photographs to compose on.
    """

    def __init__(self, cutouts: Sequence[Cutouts], weights: Sequence[float], backgrounds: Photographs):
        self.cutouts, self.weights, self.backgrounds = cutouts, weights, backgrounds

    @classmethod
    def from_folders(
        cls, cutouts: Sequence[Path], backgrounds: Sequence[Path], weights: Sequence[float] | None = None
    ) -> SceneSampler:
        """Draw from folders of `images` and `masks`, equally often or by `weights`, and of backgrounds.

        Raises:
            InputError: a folder has no images, or an image no mask.
        """
        shares = np.ones(len(cutouts)) if weights is None else np.asarray(weights, np.float64)
        return cls([Cutouts(f) for f in cutouts], (shares / shares.sum()).tolist(), Photographs(backgrounds))

    def __call__(self, rng: np.random.Generator, size: tuple[int, int]) -> Scene:
        """Draw a scene of `size` (W, H); all that happens in it is a function of the generator's state.

        Raises:
            InputError: an image that was drawn cannot be read.
        """
        return _Draw(self, rng, size).scene()


class _Draw:
    """The drawing of one scene."""

    def __init__(self, source: SceneSampler, rng: np.random.Generator, size: tuple[int, int]):
        self.source, self.rng, self.size = source, rng, size
        self.centre = (size[0] / 2, size[1] / 2)
        self.sources: list[str] = []
        self.camera = self.draw_camera()

    def scene(self) -> Scene:
        rng = self.rng
        kind = rng.choice(["in place", "composed", "empty"], p=[0.5, 0.45, 0.05])
        if kind == "in place":
            layers = self.in_place()
        else:
            layers = [self.background(), *self.bystanders((0.3, 0.3, 0.2, 0.12, 0.08))]
            for _ in range(0 if kind == "empty" else rng.choice([1, 2, 3], p=[0.7, 0.2, 0.1])):
                layers += self.composed(moving=True)
        if rng.random() < 0.25:
            layers.append(self.occluder())
        return Scene(layers, self.camera, self.size, tuple(self.sources))

    def draw_camera(self) -> Motion:
        if self.rng.random() < 0.15:
            return Motion(self.centre)
        speed, angle = self.speed(0.012), self.rng.uniform(0, 2 * np.pi)
        shift = (speed * np.cos(angle), 0.5 * speed * np.sin(angle))
        return Motion(self.centre, shift, self.rng.normal(0, 0.006), self.rng.normal(0, 0.01))

    def speed(self, median: float) -> float:
        """Draw pixels per frame, log-normal about a share of the frame's diagonal."""
        return float(np.hypot(*self.size) * median * np.exp(self.rng.normal(0, 0.8)))

    def object_motion(self, centre: Point) -> Motion:
        speed, angle = self.speed(0.016), self.rng.uniform(0, 2 * np.pi)
        shift = (speed * np.cos(angle), 0.6 * speed * np.sin(angle))
        if self.rng.random() < 0.35:  # the camera follows: the object rests in the frame, the world moves
            follow = -self.rng.uniform(0.6, 1.1)
            shift = tuple(follow * c + 0.15 * s for c, s in zip(self.camera.shift, shift, strict=True))
        return Motion(centre, shift, self.rng.normal(0, 0.03), self.rng.normal(0, 0.02))

    def cutout(self) -> Cutout:
        group = self.source.cutouts[self.rng.choice(len(self.source.cutouts), p=self.source.weights)]
        index = int(self.rng.integers(len(group)))
        self.sources.append(str(group.files[index]))
        return group[index]

    def photograph(self) -> Image:
        index = int(self.rng.integers(len(self.source.backgrounds)))
        self.sources.append(str(self.source.backgrounds.files[index]))
        return self.source.backgrounds[index]

    def cover(self, image: Image, most: float) -> Matrix:
        """Place an image so that it covers the frame, up to `most` times larger, perhaps mirrored."""
        height, width = image.shape[:2]
        scale = max(self.size[0] / width, self.size[1] / height) * self.rng.uniform(1, most)
        spare = (self.size[0] - width * scale, self.size[1] - height * scale)
        x, y = spare[0] * self.rng.random(), spare[1] * self.rng.random()
        mirror = self.rng.random() < 0.5
        return similarity(0.0, scale, (width if mirror else 0, 0), (x, y), mirror=mirror)

    def background(self) -> Layer:
        """Take a photograph without objects, or one whose object is painted over."""
        image = self.photograph() if self.rng.random() < 0.6 else self.cutout().background
        return Layer(image, None, self.cover(image, 1.6), deformation=self.relief())

    def relief(self) -> Displacement | None:
        """Draw the depth of a background: ground, hills, things in front of others; or water that ripples."""
        rng, parts = self.rng, list[Displacement]()
        if rng.random() < 0.6:
            nearness = np.zeros(self.size[::-1], np.float32)
            if rng.random() < 0.6:
                horizon = rng.uniform(0, 0.8)
                rows = np.linspace(0, 1, self.size[1], dtype=np.float32)[:, None]
                nearness += np.clip((rows - horizon) / (1 - horizon), 0, 1) * rng.uniform(0.2, 1.2)
            if rng.random() < 0.6:
                hills = self.noise(rng.integers(2, 6))
                if rng.random() < 0.6:  # steep: one thing in front of another
                    hills = np.clip((hills - rng.uniform(-0.3, 0.5)) * 12, 0, 1)
                nearness += hills * np.float32(rng.uniform(0.1, 0.8))
            parts.append(Relief(nearness, self.camera.shift))
        if rng.random() < 0.15:
            bottom = np.linspace(-1, 1, self.size[1], dtype=np.float32)[:, None]
            where = np.clip((bottom + self.noise(3) - rng.uniform(-0.5, 0.5)) * 4, 0, 1)[..., None]
            for _ in range(2):
                waves = [self.noise(rng.integers(8, 24)) for _ in range(2)]
                field = np.stack(waves, -1) * where * np.float32(min(self.size) * rng.uniform(0.004, 0.02))
                parts.append(Deformation(field, rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.5)))
        return Sum(parts) if parts else None

    def noise(self, nodes: int | np.integer[Any]) -> NDArray[np.float32]:
        """Draw a smooth field of about unit deviation with `nodes` x `nodes` bumps: float32 [H, W]."""
        coarse = self.rng.normal(0, 1, (nodes, nodes)).astype(np.float32)
        return cv2.resize(coarse, self.size, interpolation=cv2.INTER_CUBIC).astype(np.float32, copy=False)

    def bystanders(self, shares: Sequence[float]) -> list[Layer]:
        """Add salient things that are part of the world: n of them with probability shares[n]."""
        count = self.rng.choice(len(shares), p=shares)
        return [layer for _ in range(count) for layer in self.composed(moving=False)]

    def in_place(self) -> list[Layer]:
        """Let an object move out of its own photograph; sometimes it rests and only the camera moves."""
        cutout = self.cutout()
        placement = self.cover(cutout.image, 1.4)
        background = Layer(cutout.background, None, placement, deformation=self.relief())
        if self.rng.random() < 0.12:
            return [background, Layer(cutout.image, cutout.alpha, placement, primary=True)]
        return [background, *self.bystanders((0.65, 0.2, 0.1, 0.05)), *self.moving_body(cutout, placement)]

    def composed(self, *, moving: bool) -> list[Layer]:
        """Put a cut-out somewhere in the frame, or partly beyond its border."""
        rng, cutout = self.rng, self.cutout()
        x, y, w, h = cutout.box
        side = min(self.size) * np.exp(rng.uniform(np.log(0.18), np.log(0.95)))
        reach = 0.1 if rng.random() < 0.85 else -0.1
        target = (rng.uniform(reach, 1 - reach) * self.size[0], rng.uniform(0.2, 0.85) * self.size[1])
        placement = similarity(
            rng.normal(0, 0.15), side / max(w, h), (x + w / 2, y + h / 2), target, mirror=rng.random() < 0.5
        )
        if moving:
            return self.moving_body(cutout, placement)
        return [Layer(cutout.image, cutout.alpha, placement, parallax=rng.uniform(1, 1.3))]

    def moving_body(self, cutout: Cutout, placement: Matrix) -> list[Layer]:
        """Let an object move as a rigid, a bending, or a jointed body, perhaps with its shadow."""
        x, y, w, h = cutout.box
        centre = placement @ (x + w / 2, y + h / 2, 1)
        extent = float(np.sqrt(abs(np.linalg.det(placement[:2, :2])))) * max(w, h)
        motion = self.object_motion((centre[0], centre[1]))
        layers = [self.shadow(cutout, placement, motion)] if self.rng.random() < 0.15 else []
        kind = self.rng.choice(["rigid", "bending", "jointed"], p=[0.3, 0.5, 0.2])
        if kind == "jointed":
            return layers + self.jointed(cutout, placement, motion)
        deformation = self.deformation(extent) if kind == "bending" else None
        body = Layer(cutout.image, cutout.alpha, placement, (motion,), deformation=deformation, primary=True)
        return [*layers, body]

    def deformation(self, extent: float) -> Deformation:
        rng = self.rng
        nodes = rng.normal(0, extent * rng.uniform(0.01, 0.08), (rng.integers(3, 6), rng.integers(3, 6), 2))
        smooth = cv2.resize(nodes.astype(np.float32), self.size, interpolation=cv2.INTER_CUBIC)
        return Deformation(smooth.astype(np.float32), rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 1.0))

    def jointed(self, cutout: Cutout, placement: Matrix, motion: Movement) -> list[Layer]:
        """Cut a limb off along a line; it swings about the middle of the cut."""
        rng = self.rng
        x, y, w, h = cutout.box
        angle = rng.uniform(0, 2 * np.pi)
        normal = np.array([np.cos(angle), np.sin(angle)])
        through = np.array([x + w / 2, y + h / 2]) + normal * rng.uniform(0.05, 0.3) * np.array([w, h])
        rows, columns = np.mgrid[: cutout.mask.shape[0], : cutout.mask.shape[1]].astype(np.float32)
        beyond = (columns - through[0]) * normal[0] + (rows - through[1]) * normal[1]
        cut = np.argwhere((np.abs(beyond) < 1) & (cutout.mask > 0))
        if len(cut) == 0:
            return [Layer(cutout.image, cutout.alpha, placement, (motion,), primary=True)]
        joint = placement @ (*cut.mean(0)[::-1], 1)
        swing = Swing((joint[0], joint[1]), rng.uniform(0.1, 0.5), rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.6))
        overlap = 0.04 * max(w, h)  # keeps the joint closed while it turns
        limb = np.where(beyond > -overlap, cutout.alpha, 0).astype(np.uint8)
        trunk = np.where(beyond < overlap, cutout.alpha, 0).astype(np.uint8)
        return [
            Layer(cutout.image, trunk, placement, (motion,), primary=True),
            Layer(cutout.image, limb, placement, (motion, swing), primary=True),
        ]

    def shadow(self, cutout: Cutout, placement: Matrix, motion: Movement) -> Layer:
        """Darken what lies beneath and beside the object."""
        _, y, w, h = cutout.box
        lean, length = self.rng.uniform(-1.2, 1.2), self.rng.uniform(0.15, 0.6)
        foot = y + h
        cast = np.array([[1, lean, -lean * foot], [0, length, foot - length * foot], [0, 0, 1]])
        soft = cv2.GaussianBlur(cutout.mask, (0, 0), 1 + 0.015 * max(w, h)) * self.rng.uniform(0.2, 0.45)
        return Layer(np.zeros_like(cutout.image), soft.astype(np.uint8), placement @ cast, (motion,))

    def occluder(self) -> Layer:
        """Hide a part of the scene behind a textured blob or post in the foreground."""
        rng, texture = self.rng, self.photograph()
        height, width = texture.shape[:2]
        alpha: Mask = np.zeros((height, width), np.uint8)
        centre = (int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.3, 0.9) * height))
        if rng.random() < 0.5:
            axes = (int(rng.uniform(0.03, 0.08) * width), height)
        else:
            axes = (int(rng.uniform(0.08, 0.25) * width), int(rng.uniform(0.08, 0.25) * height))
        cv2.ellipse(alpha, centre, axes, rng.uniform(-20, 20), 0, 360, 255, -1, cv2.LINE_AA)
        return Layer(texture, alpha, self.cover(texture, 1.0), parallax=rng.uniform(1.0, 1.6))

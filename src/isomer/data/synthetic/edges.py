"""Scenes whose object has edges that are hard to cut out, with their exact opacity: hair, motion blur, defocus.

They are for measuring mattes: `Scene.expose` gives what is to be found.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.data.synthetic.drawn import landscape, noise
from isomer.data.synthetic.motion import Bounce, Motion, Swing, similarity
from isomer.data.synthetic.scene import Exposure, Image, Layer, Mask, Scene

KINDS = ("hair", "motion blur", "defocus")
"""What makes the edges hard."""

_FINER = 2  # creatures are drawn larger by this and rendered smaller, against aliasing


class EdgeScene(NamedTuple):
    """A scene and how it is filmed.

    Attributes:
        scene: of which frames 0 to 40 are worth rendering.
        shutter: for how long it is open, in frames.
        samples: instants in that time.
    """

    scene: Scene
    shutter: float
    samples: int

    def expose(self, t: float) -> Exposure:
        """Return frame t; see `Scene.expose`."""
        return self.scene.expose(t, self.shutter, self.samples)


def draw_edge_scene(rng: np.random.Generator, kind: str, size: tuple[int, int] = (854, 480)) -> EdgeScene:
    """Draw a creature with two limbs that crosses a landscape; some of what is drawn is about as bright as behind it.

    Args:
        rng: decides on shapes, colours and speeds.
        kind: one of `KINDS`. Fur is of strands of one or two pixels. Motion blurs by half a frame. A creature out of
            focus has edges of up to a fortieth of the height.
        size: (W, H) of the frames.
    """
    width, height = size
    pan = -width * rng.uniform(0.002, 0.004)
    background = landscape(rng, size, pan)
    extent = height * rng.uniform(0.4, 0.55)
    place = width * rng.uniform(0.35, 0.45), height * rng.uniform(0.5, 0.6)
    hurry = 3.0 if kind == "motion blur" else 1.0
    walk = Motion(place, (hurry * width * rng.uniform(0.004, 0.006) - pan * 0.8, 0.0))
    step = Bounce((0.0, height * rng.uniform(0.004, 0.01) * hurry), rng.uniform(0, 2 * np.pi), 0.7)
    blur = height / 480 * rng.uniform(2, 4) if kind == "defocus" else 0.0
    strands = 900 if kind == "hair" else 0
    colour = rng.uniform(30, 225, 3)
    limbs = []
    for side in (-1, 1):
        joint = place[0] + side * 0.3 * extent, place[1] + rng.uniform(-0.1, 0.1) * extent
        tilt = rng.uniform(0.3, 1.2)
        swing = Swing(joint, rng.uniform(0.2, 0.5), rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.4) * hurry)
        shape = (0.34 * extent, 0.075 * extent)
        image, alpha = _creature(rng, shape, colour, strands // 3, height / 480, blur)
        middle = alpha.shape[1] / 2, alpha.shape[0] / 2
        end = joint[0] + side * 0.26 * extent * np.cos(tilt), joint[1] + 0.26 * extent * np.sin(tilt)
        placement = similarity(side * tilt, 1 / _FINER, middle, end)
        limbs.append(Layer(image, alpha, placement, (walk, step, swing), primary=True))
    shape = (0.36 * extent, 0.48 * extent)
    image, alpha = _creature(rng, shape, colour, strands, height / 480, blur)
    placement = similarity(0.0, 1 / _FINER, (alpha.shape[1] / 2, alpha.shape[0] / 2), place)
    trunk = Layer(image, alpha, placement, (walk, step), primary=True)
    scene = Scene([*background, *limbs, trunk], Motion((width / 2, height / 2), (pan, 0.0)), size)
    return EdgeScene(scene, *((0.5, 16) if kind == "motion blur" else (0.0, 1)))


def _creature(
    rng: np.random.Generator,
    radii: tuple[float, float],
    colour: NDArray[np.float64],
    strands: int,
    pixel: float,
    blur: float,
) -> tuple[Image, Mask]:
    """Draw an uneven ellipse of one coat, larger by `_FINER`; `pixel` is a 480th of the height, the rest in pixels."""
    radius = np.array(radii) * _FINER
    margin = int(_FINER * (26 * pixel + 3 * blur)) + 4
    half = radius.astype(int) + margin
    size = (int(2 * half[0]), int(2 * half[1]))
    waves = [rng.normal(0, 0.05 / k) * np.sin(k * _ANGLES + rng.uniform(0, 2 * np.pi)) for k in range(2, 7)]
    rim = half + radius * (1 + np.sum(waves, 0))[:, None] * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], -1)
    alpha = np.zeros(size[::-1], np.uint8)
    cv2.fillPoly(alpha, [rim.astype(np.int32)], 255, cv2.LINE_AA)
    for _ in range(strands):
        start = rim[rng.integers(len(rim))]
        outward = (start - half) / np.linalg.norm(start - half)
        along = rng.uniform(0, 1, 2)[0] * np.linspace(0.3, 1, 9)[:, None] * _FINER * 22 * pixel
        bend = rng.normal(0, 0.35) * along**2 / (_FINER * 22 * pixel)
        strand = start - outward * 4 + outward * along + np.array([-outward[1], outward[0]]) * bend
        thickness = max(1, round(_FINER * pixel * rng.uniform(0.6, 1.4)))
        cv2.polylines(alpha, [strand.astype(np.int32)], False, 255, thickness, cv2.LINE_AA)
    coat = 1 + 0.13 * noise(rng, size, (70, 70)) + 0.07 * noise(rng, size, (6, 6), 2)
    spots = np.clip(noise(rng, size, (90, 90), 3) * 2 - 1, 0, 1)[..., None]
    shown = (colour + (rng.uniform(30, 225, 3) - colour) * spots) * coat[..., None]
    sigma = _FINER * max(blur, 0.35)
    image = cv2.GaussianBlur(np.clip(shown, 0, 255).astype(np.float32), (0, 0), sigma)
    return np.asarray(image, np.uint8), np.asarray(cv2.GaussianBlur(alpha, (0, 0), sigma), np.uint8)


_ANGLES = np.linspace(0, 2 * np.pi, 720, endpoint=False)

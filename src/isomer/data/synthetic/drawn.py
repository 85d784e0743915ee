"""A scene drawn from nothing: a car drives through a landscape while the camera follows.

It needs no photograph, and is for demonstrations and tests; training takes real images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.data.synthetic.motion import Bounce, Matrix, Motion, similarity
from isomer.data.synthetic.scene import Image, Layer, Mask, Scene

_Field = NDArray[np.float32]
_Colour = tuple[float, float, float]
_Points = Sequence[tuple[float, float]]


def draw_scene(rng: np.random.Generator, size: tuple[int, int] = (854, 480)) -> Scene:
    """Draw a landscape of several depths and a car on its road; frames 0 to 90 are worth rendering.

    Args:
        rng: decides on shapes, colours and speeds.
        size: (W, H) of the frames.
    """
    width, height = size
    pan = -width * rng.uniform(0.005, 0.007)
    camera = Motion((width / 2, height / 2), (pan, 0.0), zoom=rng.uniform(0.0003, 0.0008))
    layers = landscape(rng, size, pan)
    layers += _car(rng, (0.3 * width, 0.885 * height), 0.42 * width, -pan * rng.uniform(1.15, 1.3))
    layers.append(_spread(*_verge(rng, (layers[0].image.shape[1], height), int(0.93 * height)), parallax=1.35))
    return Scene(layers, camera, size)


def landscape(rng: np.random.Generator, size: tuple[int, int], pan: float) -> list[Layer]:
    """Draw sky, hills, trees, a meadow and a road for a camera that pans by `pan` pixels a frame, for 90 frames."""
    width, height = size
    canvas = (int(width + 130 * abs(pan)), height)
    nearer = [0.42, 0.52, 0.6, 0.7]  # where each depth begins, as a share of the height
    horizon = [int(share * height) for share in nearer]
    return [
        _background(_sky(rng, canvas), parallax=0.08),
        _spread(*_hills(rng, canvas, horizon[0], (88, 112, 128)), parallax=0.2),
        _spread(*_hills(rng, canvas, horizon[1], (80, 104, 72)), parallax=0.35),
        _spread(*_trees(rng, canvas, horizon[2]), parallax=0.6),
        _spread(*_meadow(rng, canvas, horizon[2]), parallax=0.85),
        _spread(*_road(rng, canvas, horizon[3]), parallax=1.0),
    ]


def _background(image: Image, parallax: float) -> Layer:
    return Layer(image, None, np.eye(3), parallax=parallax)


def _spread(image: Image, alpha: Mask, parallax: float) -> Layer:
    return Layer(image, alpha, np.eye(3), parallax=parallax)


def noise(rng: np.random.Generator, size: tuple[int, int], cell: tuple[float, float], octaves: int = 5) -> _Field:
    """Return fractal value noise [H, W], mean 0 and deviation 1; `cell` is its coarsest grain (x, y)."""
    total = np.zeros((size[1], size[0]), np.float32)
    for octave in range(octaves):
        grain = [max(c / 2**octave, 1.0) for c in cell]
        shape = [int(s / g) + 3 for s, g in zip(reversed(size), reversed(grain), strict=True)]
        grid = rng.standard_normal(shape).astype(np.float32)
        matrix = np.array([[grain[0], 0, -grain[0]], [0, grain[1], -grain[1]]])
        total += cv2.warpAffine(grid, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT) * 0.62**octave
    return np.asarray(total / total.std(), np.float32)


def _paint(colour: _Colour, light: NDArray[Any], tint: NDArray[Any] | None = None) -> Image:
    """Light a colour by a field [H, W] about 1, and tint it: positive is warmer."""
    image = np.array(colour, np.float32) * light[..., None]
    if tint is not None:
        image = image + tint[..., None] * np.array([6, 2, -4], np.float32)
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _rows(size: tuple[int, int]) -> _Field:
    return np.arange(size[1], dtype=np.float32)[:, None]


def _soft(signed: NDArray[Any]) -> Mask:
    """Return alpha from a signed distance in pixels, positive inside."""
    return np.clip((signed + 0.5) * 255, 0, 255).astype(np.uint8)


def _sky(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    depth = (_rows(size) / size[1])[..., None]
    blue = np.array([96, 146, 202], np.float32) * (1 - depth) + np.array([206, 220, 232], np.float32) * depth
    clouds = np.clip(noise(rng, size, (size[0] / 4, size[1] / 7), 6) - 0.35, 0, 1.6)[..., None] / 1.6
    shade = np.clip(noise(rng, size, (size[0] / 8, size[1] / 10)), -2, 2)[..., None]
    white = np.array([240, 240, 238], np.float32) + 9 * shade
    return np.asarray(np.clip(blue + (white - blue) * clouds * 0.9, 0, 255), np.uint8)


def _hills(rng: np.random.Generator, size: tuple[int, int], top: int, colour: _Colour) -> tuple[Image, Mask]:
    ridge = top + noise(rng, (size[0], 1), (size[0] / 5, 1), 7) * size[1] * 0.035
    relief = noise(rng, size, (size[1] / 3, size[1] / 6), 6)
    slope = cv2.Sobel(cv2.GaussianBlur(relief, (0, 0), 1.5), cv2.CV_32F, 1, 1, ksize=3)
    light = 1 + 0.12 * relief + 0.5 * np.clip(slope, -0.4, 0.4) - 0.1 * (_rows(size) - ridge) / size[1]
    return _paint(colour, light, noise(rng, size, (size[1] / 2, size[1] / 4))), _soft(_rows(size) - ridge)


def _trees(rng: np.random.Generator, size: tuple[int, int], base: int) -> tuple[Image, Mask]:
    """A row of trees: crowns of many leafy tufts, each darker below, on trunks."""
    image, alpha = np.zeros((size[1], size[0], 3), np.uint8), np.zeros((size[1], size[0]), np.uint8)
    leaves = noise(rng, size, (9, 8), 4)
    x = 0.0
    while x < size[0]:
        crown = size[1] * rng.uniform(0.07, 0.14)
        green = np.array([62, 92, 40]) * rng.uniform(0.75, 1.2) + rng.normal(0, 7, 3)
        middle = base - crown * 1.25
        trunk = int(x + crown), int(base)
        for canvas, colour in ((image, (58, 46, 36)), (alpha, 255)):
            cv2.line(canvas, trunk, (trunk[0], int(middle)), colour, max(2, int(crown / 9)), cv2.LINE_AA)
        for _ in range(46):
            angle, reach = rng.uniform(0, 2 * np.pi), crown * np.sqrt(rng.uniform(0, 0.75))
            centre = int(x + crown + reach * np.cos(angle)), int(middle + reach * np.sin(angle))
            light = 1 - 0.45 * np.sin(angle) * reach / crown + rng.normal(0, 0.1)
            radius = int(crown * rng.uniform(0.16, 0.3))
            cv2.circle(image, centre, radius, (green * light).clip(0, 255).tolist(), -1, cv2.LINE_AA)
            cv2.circle(alpha, centre, radius, 255, -1, cv2.LINE_AA)
        x += crown * rng.uniform(1.2, 3.2)
    lookup = _jitter(rng, size, 2.5)
    image, alpha = (cv2.remap(plane, *lookup, cv2.INTER_LINEAR).astype(np.uint8) for plane in (image, alpha))
    shaded = np.clip(image * (1 + 0.22 * leaves[..., None]), 0, 255)
    return shaded.astype(np.uint8), cv2.erode(alpha, np.ones((3, 3), np.uint8)).astype(np.uint8)


def _jitter(rng: np.random.Generator, size: tuple[int, int], pixels: float) -> tuple[_Field, _Field]:
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    return x + pixels * noise(rng, size, (8, 8), 3), y + pixels * noise(rng, size, (8, 8), 3)


def _meadow(rng: np.random.Generator, size: tuple[int, int], top: int) -> tuple[Image, Mask]:
    grass = 0.5 * noise(rng, size, (90, 16), 6) + 0.5 * noise(rng, size, (5, 4), 2)
    dry = noise(rng, size, (size[0] / 6, size[1] / 14), 5)
    image = _paint((104, 118, 58), 1 + 0.17 * grass, 1.1 * dry)
    edge = top + 2 * noise(rng, (size[0], 1), (30, 1), 4)
    return image, _soft(_rows(size) - edge)


def _road(rng: np.random.Generator, size: tuple[int, int], top: int) -> tuple[Image, Mask]:
    grain = 0.6 * noise(rng, size, (3, 2), 2) + 0.6 * noise(rng, size, (140, 14), 6)
    image = _paint((104, 102, 100), 1 + 0.08 * grain)
    lane = int(0.795 * size[1])
    for x in range(0, size[0], int(0.22 * size[1])):
        dash = np.array([[x, lane], [x + 0.1 * size[1], lane], [x + 0.095 * size[1], lane + 5], [x - 4, lane + 5]])
        cv2.fillPoly(image, [dash.astype(np.int32)], (196, 194, 186), cv2.LINE_AA)
    worn = np.clip(1 + 0.1 * noise(rng, size, (6, 3), 3), 0, 1.1)[..., None]
    image = np.clip(image * worn, 0, 255).astype(np.uint8)
    edge = top + 1.5 * noise(rng, (size[0], 1), (40, 1), 4)
    return image, _soft(_rows(size) - edge)


def _verge(rng: np.random.Generator, size: tuple[int, int], top: int) -> tuple[Image, Mask]:
    """The near side of the road: blades of grass, out of focus."""
    image, alpha = _meadow(rng, size, top + 14)
    for _ in range(size[0] // 2):
        x, length = rng.uniform(0, size[0]), rng.uniform(8, 34)
        tip = (int(x + rng.normal(0, 9)), int(top + 24 - length))
        foot = (int(x), int(top + 34))
        green = (np.array([96, 112, 50]) * rng.uniform(0.65, 1.25)).tolist()
        cv2.line(image, foot, tip, green, 2, cv2.LINE_AA)
        cv2.line(alpha, foot, tip, 255, 2, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), 1.2).astype(np.uint8), cv2.GaussianBlur(alpha, (0, 0), 1.4).astype(np.uint8)


_CAR = (1040, 400)  # canvas of the car, pixels; it is drawn large and rendered smaller
_WHEELS, _RADIUS = ((228.0, 322.0), (812.0, 322.0)), 74
_BODY: _Points = (
    (40, 300), (36, 262), (46, 226), (84, 204), (170, 190), (250, 178), (338, 112), (392, 88), (480, 78),
    (590, 78), (672, 90), (742, 132), (806, 172), (900, 186), (968, 206), (998, 240), (1004, 290), (990, 318),
    (900, 330), (520, 336), (140, 330), (60, 322),
)  # fmt: skip
_WINDOWS: Sequence[_Points] = (
    ((296, 180), (362, 124), (408, 104), (480, 98), (482, 180)),
    ((502, 180), (502, 98), (586, 98), (652, 108), (706, 140), (748, 178)),
)


def _car(rng: np.random.Generator, place: tuple[float, float], length: float, speed: float) -> list[Layer]:
    """Draw a car that drives to the right: its shadow, body and two turning wheels, standing on `place`."""
    scale = length / _CAR[0]
    ground = (_CAR[0] / 2, _WHEELS[0][1] + _RADIUS)
    placement = similarity(0.0, scale, ground, place)
    drive = Motion(place, (speed, 0.0))
    spring = Bounce((0.0, 0.006 * length), rng.uniform(0, 2 * np.pi), 0.55)
    shadow = np.zeros(_CAR[::-1], np.uint8)
    cv2.ellipse(shadow, (_CAR[0] // 2, int(ground[1]) - 10), (480, 16), 0, 0, 360, 125, -1)
    shadow = cv2.GaussianBlur(shadow, (0, 0), 7).astype(np.uint8)
    layers = [Layer(np.full((*shadow.shape, 3), 22, np.uint8), shadow, placement, (drive,))]
    body, alpha = _body(rng)
    layers.append(Layer(*_reduced(body, alpha, placement), motions=(drive, spring), primary=True))
    wheel, disc = _wheel(rng)
    for hub in _WHEELS:
        seat = similarity(0.0, scale, (_RADIUS + 6, _RADIUS + 6), tuple((placement @ (*hub, 1))[:2]))
        turn = Motion(tuple((placement @ (*hub, 1))[:2]), rotation=speed / (_RADIUS * scale))
        layers.append(Layer(*_reduced(wheel, disc, seat), motions=(drive, turn), primary=True))
    return layers


def _reduced(image: Image, alpha: Mask, placement: Matrix) -> tuple[Image, Mask, Matrix]:
    """Blur what is about to be rendered smaller, against aliasing."""
    sigma = 0.35 * (1 / placement[0, 0] - 1)
    if sigma <= 0:
        return image, alpha, placement
    blurred = [cv2.GaussianBlur(plane, (0, 0), sigma).astype(np.uint8) for plane in (image, alpha)]
    return blurred[0], blurred[1], placement


def _polygon(points: _Points, smooth: bool = True) -> NDArray[np.int32]:
    """Round a polygon's corners (Chaikin's corner cutting)."""
    outline = np.array(points, np.float64)
    for _ in range(3 if smooth else 0):
        after = np.roll(outline, -1, 0)
        outline = np.stack([0.78 * outline + 0.22 * after, 0.22 * outline + 0.78 * after], 1).reshape(-1, 2)
    return np.asarray(outline.round(), np.int32)


def _body(rng: np.random.Generator) -> tuple[Image, Mask]:
    paint = np.array([(168, 34, 30), (30, 74, 146), (196, 140, 36), (206, 208, 212)][rng.integers(4)], np.float32)
    alpha = np.zeros(_CAR[::-1], np.uint8)
    cv2.fillPoly(alpha, [_polygon(_BODY)], 255, cv2.LINE_AA)
    y = _rows(_CAR) / _CAR[1]
    # Light from above: the roof and the shoulder line shine, the sill is in shade.
    shine = 0.62 + 0.55 * np.exp(-(((y - 0.23) / 0.06) ** 2)) + 0.6 * np.exp(-(((y - 0.5) / 0.035) ** 2))
    shine = shine - 0.5 * np.clip((y - 0.6) / 0.25, 0, 1) ** 1.5 + 0.04 * noise(rng, _CAR, (220, 30), 5)
    image = np.clip(paint * shine[..., None] + 26 * np.clip(shine[..., None] - 1, 0, 1), 0, 255).astype(np.uint8)
    brightness = 40 + 105 * np.clip(0.62 - (_rows(_CAR) - 90) / 110, 0, 1) + 16 * noise(rng, _CAR, (90, 24), 5)
    reflection = np.clip(brightness, 12, 210)[..., None] * np.array([0.82, 0.93, 1.0], np.float32)
    for window in _WINDOWS:
        glass = np.zeros(_CAR[::-1], np.uint8)
        cv2.fillPoly(glass, [_polygon(window)], 255, cv2.LINE_AA)
        frame = cv2.dilate(glass, np.ones((9, 9), np.uint8))
        image[frame > 0] = image[frame > 0] // 3
        image[glass > 0] = reflection[glass > 0].astype(np.uint8)
    dark = (paint * 0.28).tolist()
    for line in (
        ((494, 92), (492, 312)),
        ((274, 186), (300, 312)),
        ((762, 182), (742, 260)),
        ((300, 312), (700, 312)),
    ):
        cv2.line(image, *line, dark, 3, cv2.LINE_AA)
    for x in (420, 640):
        cv2.rectangle(image, (x, 212), (x + 46, 221), (paint * 0.45).tolist(), -1)
        cv2.rectangle(image, (x, 211), (x + 46, 215), (228, 230, 232), -1)
    cv2.fillPoly(image, [_polygon(((930, 206), (972, 214), (992, 238), (940, 236)))], (236, 236, 220), cv2.LINE_AA)
    cv2.fillPoly(image, [_polygon(((40, 220), (78, 206), (84, 240), (38, 248)))], (150, 16, 18), cv2.LINE_AA)
    cv2.fillPoly(image, [_polygon(((30, 288), (1010, 282), (1004, 340), (40, 340)), smooth=False)], (34, 34, 36))
    for hub in _WHEELS:
        cv2.circle(image, (int(hub[0]), int(hub[1])), _RADIUS + 12, (14, 14, 15), -1, cv2.LINE_AA)
    grain = rng.normal(0, 3, (*_CAR[::-1], 1))
    return np.clip(image + grain, 0, 255).astype(np.uint8), alpha


def _wheel(rng: np.random.Generator) -> tuple[Image, Mask]:
    side, centre = 2 * _RADIUS + 12, (_RADIUS + 6, _RADIUS + 6)
    image, alpha = np.full((side, side, 3), 30, np.uint8), np.zeros((side, side), np.uint8)
    cv2.circle(alpha, centre, _RADIUS, 255, -1, cv2.LINE_AA)
    cv2.circle(image, centre, int(0.66 * _RADIUS), (46, 46, 48), -1, cv2.LINE_AA)
    for angle in np.arange(5) * 2 * np.pi / 5 + rng.uniform(0, 1):
        tip = centre + 0.63 * _RADIUS * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(image, centre, tuple(tip.astype(int).tolist()), (176, 178, 182), 15, cv2.LINE_AA)
    cv2.circle(image, centre, int(0.66 * _RADIUS), (188, 190, 194), 5, cv2.LINE_AA)
    cv2.circle(image, centre, 11, (120, 122, 126), -1, cv2.LINE_AA)
    return np.clip(image + rng.normal(0, 4, (side, side, 1)), 0, 255).astype(np.uint8), alpha

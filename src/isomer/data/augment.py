"""Augmentation of a frame, its flow vectors and its mask: together, vectors before colours."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.data.synthetic.motion import Matrix, similarity
from isomer.data.synthetic.scene import Image
from isomer.flow import Flow


def random_crop(rng: np.random.Generator, source: tuple[int, int], size: tuple[int, int]) -> Matrix:
    """Draw a crop, scaled, turned and perhaps mirrored, that lies inside the source.

    Args:
        rng: decides.
        source: (W, H) of the frame.
        size: (W, H) of the result, in pixels.

    Returns:
        Source pixels to result pixels, float64 [3, 3].
    """
    angle = rng.normal(0, 0.08) if rng.random() < 0.5 else 0.0
    cosine, sine = abs(np.cos(angle)), abs(np.sin(angle))
    box = (size[0] * cosine + size[1] * sine, size[0] * sine + size[1] * cosine)  # around the turned crop
    # A crop that fits has that within the frame; up to 1.8 times nearer.
    scale = max(box[0] / source[0], box[1] / source[1]) * np.exp(rng.uniform(0, 0.6))
    centre = tuple(
        length / 2 + (rng.random() - 0.5) * (length - side / scale) - 0.5
        for length, side in zip(source, box, strict=True)
    )
    target = ((size[0] - 1) / 2, (size[1] - 1) / 2)
    return similarity(angle, scale, (centre[0], centre[1]), target, mirror=rng.random() < 0.5)


def warp_image(
    image: NDArray[np.uint8], matrix: Matrix, size: tuple[int, int], *, nearest: bool = False
) -> NDArray[np.uint8]:
    """Move an image [H, W] or [H, W, 3] into one of `size` (W, H) by a transform of pixels; `nearest` is for masks."""
    flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    warped = cv2.warpAffine(image, matrix[:2], size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return warped.astype(np.uint8, copy=False)


def warp_flow(
    flow: Flow, frame: tuple[int, int], matrix: Matrix, size: tuple[int, int], camera: Matrix | None = None
) -> Flow:
    """Move a flow field by a transform of the frame's pixels, and its vectors with it.

    A vector v at p, which leads from p to p + v, becomes matrix (p + v) - matrix p at matrix p; a mirror, a
    rotation and a scale so change the vectors themselves.

    Args:
        flow: float32 [h, w, 2], perhaps coarser than the frame, in pixels of its own grid.
        frame: (W, H) of the frame.
        matrix: frame pixels to result pixels, float64 [3, 3].
        size: (W, H) of the result, in pixels.
        camera: what moves the second frame in addition, result pixels to result pixels.

    Returns:
        float32 [H, W, 2] of the result, in its pixels.
    """
    height, width = flow.shape[:2]
    grow = np.diag([frame[0] / width, frame[1] / height, 1.0])
    grow[:2, 2] = (np.diag(grow)[:2] - 1) / 2  # pixel centres
    whole = matrix @ grow
    vectors = cv2.warpAffine(flow, whole[:2], size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    vectors = vectors @ whole[:2, :2].T.astype(np.float32)
    if camera is not None:
        grid = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), -1).astype(np.float32)
        vectors = (grid + vectors) @ camera[:2, :2].T + camera[:2, 2] - grid
    return np.asarray(vectors, np.float32)


def degrade(rng: np.random.Generator, first: Image, second: Image) -> tuple[Image, Image]:
    """Distort light and colour of both frames alike, blur them, and add noise and compression to each."""
    gain, offset, gamma = np.exp(rng.normal(0, 0.15)), rng.normal(0, 12), np.exp(rng.normal(0, 0.2))
    levels = 255 * (np.arange(256) / 255) ** gamma
    tint = np.exp(rng.normal(0, 0.04, 3))
    table = np.clip(levels[:, None] * gain * tint + offset, 0, 255).astype(np.uint8)[:, None]
    saturation = float(np.clip(rng.normal(1, 0.3), 0, 1.6)) if rng.random() < 0.5 else 1.0
    blur = rng.uniform(0.4, 1.6) if rng.random() < 0.25 else 0.0
    streak = motion_blur_kernel(rng) if rng.random() < 0.1 else None
    noise = rng.uniform(1, 8) if rng.random() < 0.3 else 0.0
    quality = int(rng.integers(30, 90)) if rng.random() < 0.35 else None

    def distort(image: Image) -> Image:
        result = cv2.LUT(image, table)
        if saturation != 1:
            gray = cv2.cvtColor(cv2.cvtColor(result, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            result = cv2.addWeighted(result, saturation, gray, 1 - saturation, 0)
        if blur:
            result = cv2.GaussianBlur(result, (0, 0), blur)
        if streak is not None:
            result = cv2.filter2D(result, -1, streak, borderType=cv2.BORDER_REFLECT_101)
        if noise:
            result = np.clip(result + rng.normal(0, noise, result.shape), 0, 255).astype(np.uint8)
        if quality is not None:
            result = compressed(np.asarray(result, np.uint8), quality)
        return np.asarray(result, np.uint8)

    return distort(first), distort(second)


def compressed(image: Image, quality: int) -> Image:
    """Return what JPEG of a quality (0 to 100) leaves of an RGB image, uint8 [H, W, 3]."""
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def motion_blur_kernel(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the streak that a moving camera leaves: a line of 3 to 9 pixels, float32, summing to one."""
    length, angle = rng.uniform(3, 9), rng.uniform(0, np.pi)
    kernel = np.zeros((9, 9), np.float32)
    reach = length / 2 * np.array([np.cos(angle), np.sin(angle)])
    ends = np.rint((4 + np.stack([-reach, reach])) * 16).astype(int).tolist()
    cv2.line(kernel, tuple(ends[0]), tuple(ends[1]), 1.0, 1, cv2.LINE_8, 4)
    return np.asarray(kernel / kernel.sum(), np.float32)

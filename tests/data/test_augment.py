from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from isomer.data.augment import degrade, motion_blur_kernel, random_crop, warp_flow, warp_image
from isomer.data.synthetic.motion import Motion, similarity
from isomer.data.synthetic.scene import Layer, Scene
from isomer.flow import DISFlow

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.booleans(), st.booleans())
def test_vectors_follow_the_transform(seed: int, mirror: bool, with_camera: bool) -> None:
    """An affine flow q = A p + b seen through M is q' = C M (A M^-1 p' + b): no image is in the oracle."""
    rng = np.random.default_rng(seed)
    width, height, size = 90, 70, (44, 36)
    field = np.eye(3)
    field[:2] += rng.normal(0, 0.05, (2, 3)) * [1, 1, 40]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    points = np.stack([x, y, np.ones_like(x)], -1)
    flow = (points @ field[:2].T - points[..., :2]).astype(np.float32)
    matrix = similarity(rng.uniform(-0.3, 0.3), rng.uniform(0.8, 1.5), (45, 35), (19.5, 19.5), mirror=mirror)
    camera = similarity(0.03, 1.02, (20, 20), (21.0, 19.0)) if with_camera else np.eye(3)

    result = warp_flow(flow, (width, height), matrix, size, camera if with_camera else None)

    there = camera @ matrix @ field @ np.linalg.inv(matrix)
    u, v = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    seen = np.stack([u, v, np.ones_like(u)], -1)
    source = seen @ np.linalg.inv(matrix)[:2].T
    inside = (source > 1).all(-1) & (source < [width - 2, height - 2]).all(-1)
    expected = seen @ there[:2].T - seen[..., :2]
    assert inside.any()
    np.testing.assert_allclose(result[inside], expected[inside], atol=0.05)


def test_a_mirrored_video_has_mirrored_flow() -> None:
    """What DIS finds on mirrored frames is what mirroring the vectors gives: the sign of x changes."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.uniform(0, 255, (20, 20, 3)), (160, 160), interpolation=cv2.INTER_CUBIC)
    layer = Layer(image.clip(0, 255).astype(np.uint8), None, np.eye(3))
    scene = Scene([layer], Motion((48, 48), (3.0, 1.0), 0.0, 0.02), (96, 96))
    first, second = scene.render(0)[0], scene.render(1)[0]
    mirror = similarity(0.0, 1.0, (95, 0), (0, 0), mirror=True)
    vectors = warp_flow(scene.flow(0, 1), (96, 96), mirror, (96, 96))
    estimate = DISFlow().between(warp_image(first, mirror, (96, 96)), warp_image(second, mirror, (96, 96)))
    inner = np.s_[12:-12, 12:-12]
    assert np.abs(estimate - vectors)[inner].mean() < 0.25
    assert np.abs(estimate - scene.flow(0, 1)[:, ::-1])[inner].mean() > 2  # the field's usual mistake


def test_coarse_flow_is_scaled_to_the_frame() -> None:
    flow = np.full((24, 32, 2), (1.5, -0.5), np.float32)
    result = warp_flow(flow, (128, 96), np.eye(3), (64, 64))
    np.testing.assert_allclose(result, np.broadcast_to([6, -2], result.shape), atol=1e-4)


sides = st.tuples(st.integers(40, 400), st.integers(40, 400))


@given(seeds, sides, sides)
def test_crops_lie_inside_the_frame(seed: int, source_size: tuple[int, int], size: tuple[int, int]) -> None:
    matrix = random_crop(np.random.default_rng(seed), source_size, size)
    right, bottom = size[0] - 0.5, size[1] - 0.5
    corners = np.array([[-0.5, -0.5, 1], [right, -0.5, 1], [-0.5, bottom, 1], [right, bottom, 1]])
    source = corners @ np.linalg.inv(matrix)[:2].T
    assert (source >= -0.5 - 1e-6).all()
    assert (source <= np.array(source_size) - 0.5 + 1e-6).all()


def test_degrading_treats_both_frames_alike_except_for_noise() -> None:
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.uniform(0, 255, (10, 10, 3)), (64, 64)).astype(np.uint8)
    changed, same_light = 0, 0
    for seed in range(60):
        first, second = degrade(np.random.default_rng(seed), image, image)
        assert first.shape == image.shape
        assert first.dtype == np.uint8
        changed += np.abs(first.astype(int) - image).mean() > 2
        same_light += np.abs(first.mean((0, 1)) - second.mean((0, 1))).max() < 1
    assert changed > 50
    assert same_light == 60


@given(seeds)
def test_motion_blur_keeps_brightness_and_is_a_streak(seed: int) -> None:
    kernel = motion_blur_kernel(np.random.default_rng(seed))
    assert abs(kernel.sum() - 1) < 1e-5
    y, x = np.nonzero(kernel)
    assert len(x) >= 3
    spread = np.linalg.eigvalsh(np.cov(np.stack([x, y]).astype(float)))
    assert spread[0] < 0.5 < spread[1]

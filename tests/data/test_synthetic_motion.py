from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.cli.main import main
from isomer.data.kitti import read_kitti_flow
from isomer.data.synthetic.cutouts import SceneSampler
from isomer.data.synthetic.drawn import draw_scene
from isomer.data.synthetic.motion import Deformation, Motion, Swing, similarity
from isomer.data.synthetic.scene import Layer, Scene
from isomer.media import open_frames
from isomer.media.image import read_gray, read_image

SIZE = (120, 96)


def smooth(rng: np.random.Generator, height: int, width: int, channels: int = 3) -> NDArray[np.float32]:
    nodes = rng.uniform(0, 255, (height // 12, width // 12, channels)).astype(np.float32)
    return cv2.resize(nodes, (width, height), interpolation=cv2.INTER_CUBIC)


def body(rng: np.random.Generator, **kwargs: object) -> Layer:
    image = smooth(rng, 96, 120).clip(0, 255).astype(np.uint8)
    alpha = np.zeros((96, 120), np.uint8)
    cv2.ellipse(alpha, (60, 48), (34, 26), 0, 0, 360, 255, -1)
    return Layer(image, alpha, np.eye(3), primary=True, **kwargs)  # type: ignore[arg-type]


def background(rng: np.random.Generator) -> Layer:
    image = smooth(rng, 200, 240).clip(0, 255).astype(np.uint8)
    return Layer(image, None, similarity(0.0, 1.0, (120, 100), (60, 48)))


def bend(rng: np.random.Generator) -> Deformation:
    field = cv2.resize(rng.normal(0, 4, (4, 4, 2)).astype(np.float32), SIZE, interpolation=cv2.INTER_CUBIC)
    return Deformation(field, 0.3, 0.9)


MOTIONS = {
    "rigid": lambda rng: {"motions": (Motion((60, 48), (3.0, -1.5), 0.05, 0.02),)},
    "jointed": lambda rng: {"motions": (Motion((60, 48), (2.0, 1.0)), Swing((40, 48), 0.3, 0.2, 0.7))},
    "bending": lambda rng: {"motions": (Motion((60, 48), (2.0, 0.5)),), "deformation": bend(rng)},
    "nearer than the world": lambda rng: {"parallax": 1.7},
}


@pytest.mark.parametrize("kind", MOTIONS)
def test_flow_leads_to_the_same_colours_in_the_next_frame(kind: str) -> None:
    """The definition of optical flow: first(p) = second(p + flow(p)), where p is visible in both."""
    rng = np.random.default_rng(1)
    scene = Scene([background(rng), body(rng, **MOTIONS[kind](rng))], Motion((60, 48), (2.0, 1.0), 0.02, 0.01), SIZE)
    (first, mask), (second, second_mask) = scene.render(1), scene.render(2)
    flow = scene.flow(1, 2)
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    there = (np.stack([x, y], -1) + flow).astype(np.float32)
    warped = cv2.remap(second, there, None, cv2.INTER_LINEAR)
    same_layer = cv2.remap(second_mask, there, None, cv2.INTER_LINEAR, borderValue=128) == mask
    inside = cv2.erode(same_layer.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    inside[:4] = inside[-4:] = inside[:, :4] = inside[:, -4:] = False
    assert inside.mean() > 0.5
    difference = np.abs(warped.astype(int) - first)[inside]
    assert np.percentile(difference, 95) < 6
    still = np.abs(second.astype(int) - first)[inside]
    assert difference.mean() < 0.35 * still.mean()


def test_a_rigid_motion_has_its_closed_form_flow() -> None:
    rng = np.random.default_rng(0)
    scene = Scene([background(rng), body(rng, motions=(Motion((60, 48), (3.0, -2.0)),))], Motion((60, 48)), SIZE)
    mask = scene.render(0)[1] > 0
    flow = scene.flow(0, 1)
    np.testing.assert_allclose(flow[mask], np.broadcast_to([3, -2], flow[mask].shape), atol=1e-4)
    np.testing.assert_allclose(flow[~mask], 0, atol=1e-4)


def test_a_limb_keeps_its_joint_and_moves_with_its_body() -> None:
    drive, swing = Motion((0, 0), (5.0, 0.0)), Swing((10.0, 20.0), 0.5, 0.0, 1.0)
    limb = Layer(np.zeros((4, 4, 3), np.uint8), None, np.eye(3), (drive, swing))
    t = 1.3
    np.testing.assert_allclose(limb.matrix(Motion((0, 0)), t) @ (10, 20, 1), (10 + 5 * t, 20, 1))
    angle = 0.5 * np.sin(t)
    tip = (10 + 7 * np.cos(angle) + 5 * t, 20 + 7 * np.sin(angle), 1)
    np.testing.assert_allclose(limb.matrix(Motion((0, 0)), t) @ (17, 20, 1), tip)


def test_a_shadow_darkens_without_being_an_object() -> None:
    rng = np.random.default_rng(2)
    ground = background(rng)
    shade = Layer(np.zeros((96, 120, 3), np.uint8), np.full((96, 120), 100, np.uint8), np.eye(3))
    lit, shaded = (Scene(layers, Motion((60, 48)), SIZE) for layers in ([ground], [ground, shade]))
    assert shaded.render(0)[0].mean() < 0.7 * lit.render(0)[0].mean()
    assert not shaded.render(0)[1].any()
    np.testing.assert_array_equal(shaded.flow(0, 1), lit.flow(0, 1))


def test_scenes_vary_and_some_are_empty(stills: Path) -> None:
    sampler = SceneSampler.from_folders([stills], [stills / "backgrounds"])
    scenes = [sampler(np.random.default_rng(seed), (64, 48)) for seed in range(120)]
    masks = [scene.render(0)[1] for scene in scenes]
    empty = sum(not mask.any() for mask in masks)
    assert 1 <= empty <= 30
    assert sum(len(scene.layers) > 3 for scene in scenes) > 20
    resting = sum(scene.camera == Motion((32, 24)) for scene in scenes)
    assert 5 < resting < 40
    only_camera = sum(all(not layer.motions for layer in scene.layers) for scene in scenes)
    assert 3 < only_camera < 50
    touching = sum(bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any()) for mask in masks)
    assert touching > 10
    assert all(Path(name).is_file() for scene in scenes for name in scene.sources)


def test_a_scene_is_a_function_of_the_generator(stills: Path) -> None:
    sampler = SceneSampler.from_folders([stills], [stills / "backgrounds"], [2.0])
    first, second = (sampler(np.random.default_rng(7), (64, 48)).render(1) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_the_drawn_scene_has_an_object_that_moves_against_its_background() -> None:
    scene = draw_scene(np.random.default_rng(0), (213, 120))
    for t in (0, 45, 90):
        mask = scene.render(t)[1] > 0
        assert 0.03 < mask.mean() < 0.4
        flow = scene.flow(t, t + 1)
        assert np.linalg.norm(np.median(flow[mask], 0) - np.median(flow[~mask], 0)) > 0.5


def test_synth_writes_a_video_and_its_mask(tmp_path: Path) -> None:
    out, masks = tmp_path / "clip.mp4", tmp_path / "mask.mp4"
    assert main(["synth", str(out), "--size", "96x64", "--frames", "5", "--masks", str(masks)]) == 0
    video = open_frames(out)
    assert video.size == (96, 64)
    frames = list(video)
    assert len(frames) == len(list(open_frames(masks))) == 5
    assert np.abs(frames[0].image.astype(int) - frames[4].image).mean() > 2


def test_synth_writes_sequences_with_masks_and_flow(stills: Path, tmp_path: Path) -> None:
    folders = ["--cutouts", str(stills), "--backgrounds", str(stills / "backgrounds")]
    options = ["--size", "64x48", "--frames", "3", "--count", "2", "--seed", "5"]
    assert main(["synth", str(tmp_path / "out"), *folders, *options]) == 0
    sampler = SceneSampler.from_folders([stills], [stills / "backgrounds"])
    scene = sampler(np.random.default_rng((5, 1)), (64, 48))
    folder = tmp_path / "out" / "00001"
    image, mask = scene.render(2)
    np.testing.assert_array_equal(read_image(folder / "frames" / "00002.png"), image)
    np.testing.assert_array_equal(read_gray(folder / "masks" / "00002.png"), mask)
    assert sorted(path.name for path in (folder / "flow").iterdir()) == ["00000.png", "00001.png"]
    np.testing.assert_allclose(read_kitti_flow(folder / "flow" / "00001.png"), scene.flow(1, 2), atol=1 / 127)


@pytest.mark.parametrize(
    "arguments",
    [
        ["out", "--size", "10"],
        ["out", "--cutouts", "nowhere"],
        ["a.mp4", "--count", "2"],
        ["out", "--masks", "m.mp4"],
    ],
)
def test_synth_refuses_bad_input(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["synth", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_exposure_without_blur_is_the_frame_and_its_colours_compose_it() -> None:
    rng = np.random.default_rng(1)
    scene = Scene([background(rng), body(rng)], Motion((60, 48), (2.0, 1.0)), SIZE)
    image, mask = scene.render(2)
    exposed = scene.expose(2)
    assert np.abs(exposed.image.astype(int) - image).max() <= 1
    assert np.array_equal(exposed.alpha > 0.5, mask > 0)
    behind = Scene(scene.layers[:1], scene.camera, SIZE).expose(2).image
    share = exposed.alpha[..., None]
    np.testing.assert_allclose(share * exposed.colours + (1 - share) * behind, exposed.image, atol=2)


def test_an_open_shutter_averages_instants() -> None:
    rng = np.random.default_rng(1)
    scene = Scene([background(rng), body(rng, motions=(Motion((60, 48), (8.0, 0.0)),))], Motion((60, 48)), SIZE)
    instants = [scene.expose(t) for t in (1, 1.25)]
    exposed = scene.expose(1, shutter=0.5, samples=2)
    np.testing.assert_allclose(exposed.alpha, np.mean([one.alpha for one in instants], 0), atol=1e-5)
    np.testing.assert_allclose(exposed.image, np.mean([one.image for one in instants], 0), atol=1.01)
    assert np.count_nonzero((exposed.alpha > 0) & (exposed.alpha < 1)) > np.count_nonzero(
        (instants[0].alpha > 0) & (instants[0].alpha < 1)
    )

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from isomer.data import samples as samples_module
from isomer.data.kitti import write_kitti_flow
from isomer.data.samples import SampleOptions, TrainingSamples, collate
from isomer.data.sequences import find_sequences
from isomer.data.synthetic.clip import SceneFrames, write_sequence
from isomer.data.synthetic.cutouts import SceneSampler
from isomer.data.synthetic.motion import Motion, similarity
from isomer.errors import InputError
from isomer.flow import flow_to_image
from isomer.media.image import write_image


@pytest.fixture(scope="session")
def videos(stills: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("videos")
    sampler = SceneSampler.from_folders([stills], [stills / "backgrounds"])
    for number in range(2):
        scene = sampler(np.random.default_rng(number + 20), (96, 72))
        write_sequence(SceneFrames(scene, 4), root / f"{number}")
    return root


def stream(stills: Path, videos: Path | None = None, seed: int = 0, **options: object) -> TrainingSamples:
    sampler = SceneSampler.from_folders([stills], [stills / "backgrounds"])
    sequences = find_sequences(videos) if videos else []
    chosen = SampleOptions(**{"sizes": (64,), "real": 0.5, **options})  # type: ignore[arg-type]
    return TrainingSamples(sampler, sequences, [1.0] * len(sequences), chosen, 4, seed)


def test_a_sample_is_a_function_of_seed_and_index(stills: Path, videos: Path) -> None:
    first, second, other = stream(stills, videos), stream(stills, videos), stream(stills, videos, seed=1)
    forwards = [first[i] for i in range(6)]
    backwards = [second[i] for i in reversed(range(6))][::-1]
    for a, b in zip(forwards, backwards, strict=True):
        np.testing.assert_array_equal(a.frame, b.frame)
        np.testing.assert_array_equal(a.flow, b.flow)
        np.testing.assert_array_equal(a.mask, b.mask)
        assert a.sources == b.sources
    assert not np.array_equal(forwards[0].frame, other[0].frame)
    assert len({sample.frame.tobytes() for sample in forwards}) == 6


@pytest.mark.parametrize("size", [64, 320])  # the estimator shrinks frames of more than 256 pixels
def test_batches_have_the_promised_shapes(stills: Path, videos: Path, size: int) -> None:
    samples = stream(stills, videos, sizes=(size,))
    batch = collate([samples[i] for i in range(4)])
    assert batch.frame.shape == batch.flow.shape == (4, 3, size, size)
    assert batch.mask.shape == (4, 1, size, size)
    assert batch.frame.dtype == batch.flow.dtype == batch.mask.dtype == torch.uint8
    np.testing.assert_array_equal(batch.frame[2].permute(1, 2, 0), samples[2].frame)
    assert set(batch.mask.unique().tolist()) <= {0, 255}


def test_samples_of_a_step_share_a_size_and_steps_differ(stills: Path) -> None:
    samples = stream(stills, real=0.0, sizes=(48, 64, 80))
    sizes = [samples[i].frame.shape[0] for i in range(40)]
    steps = [sizes[i : i + 4] for i in range(0, 40, 4)]
    assert all(len(set(step)) == 1 for step in steps)
    assert set(sizes) == {48, 64, 80}


@pytest.mark.parametrize("real", [0.0, 1.0])
def test_wide_steps_have_wide_samples_of_as_many_pixels(stills: Path, videos: Path, real: float) -> None:
    square, wide = (stream(stills, videos, real=real, sizes=(128, 192), wide=share) for share in (0.0, 1.0))
    for step in range(8):
        side, shape = square[4 * step].mask.shape[0], wide[4 * step].mask.shape
        assert shape == {128: (96, 160), 192: (128, 256)}[side]
    batch = collate([wide[i] for i in range(4)])
    assert batch.frame.shape[2:] == batch.flow.shape[2:] == batch.mask.shape[2:]
    half = [stream(stills, real=0.0, sizes=(64,), wide=0.5)[4 * step].mask.shape for step in range(40)]
    assert 10 <= half.count((64, 64)) <= 30


def test_shares_of_real_and_motionless_samples(stills: Path, videos: Path) -> None:
    samples = [stream(stills, videos, real=0.25, drop_motion=0.3, motion_from_frame=0.2)[i] for i in range(120)]
    real = sum(str(videos) in sample.sources[0] for sample in samples)
    white = sum(bool((sample.flow == 255).all()) for sample in samples)
    frame = sum(np.array_equal(sample.flow, sample.frame) for sample in samples)
    assert 15 <= real <= 45
    assert 22 <= white <= 55
    assert 12 <= frame <= 38


def test_either_stream_can_be_left_without_what_it_sees(stills: Path) -> None:
    alone = stream(stills, real=0.0, drop_motion=0.0, motion_from_frame=0.0, drop_appearance=1.0)
    sample, whole = alone[3], stream(stills, real=0.0, drop_motion=0.0, motion_from_frame=0.0)[3]
    assert len(np.unique(sample.frame)) == 1
    np.testing.assert_array_equal(sample.flow, whole.flow)


def test_exact_flow_is_the_scene_s_own(stills: Path) -> None:
    samples = stream(stills, real=0.0, drop_motion=0.0, motion_from_frame=0.0, exact_flow=True)
    scene = samples.scenes(np.random.default_rng((0, 0, 7, 0)), (64, 64))  # type: ignore[misc]
    np.testing.assert_array_equal(samples[7].mask, scene.render(0)[1])
    np.testing.assert_array_equal(samples[7].flow, flow_to_image(scene.flow(0, 1)))


def test_stored_vectors_are_used_and_transformed(stills: Path, videos: Path, tmp_path: Path) -> None:
    """With a constant flow stored, the flow image shows that vector, turned, scaled and mirrored."""
    folder = tmp_path / "one"
    shutil.copytree(videos / "0", folder / "0")
    samples = stream(stills, folder, real=1.0, drop_motion=0.0, motion_from_frame=0.0)
    levels = np.full((72, 96, 3), 2**15, np.uint16)
    levels[..., 0], levels[..., 2] = 1, 2**15 + 20 * 64  # 20 pixels to the right everywhere
    for path in (folder / "0/flow").iterdir():
        cv2.imwrite(str(path), levels)
    right, left = (flow_to_image(np.full((8, 8, 2), (x, 0), np.float32))[0, 0].astype(int) for x in (20, -20))
    directions = []
    for i in range(16):
        colour = np.median(samples[i].flow.reshape(-1, 3), axis=0)
        distances = [np.abs(colour - wanted).max() for wanted in (right, left)]
        assert min(distances) < 75  # the crop turns by some degrees, and the camera moves
        directions.append(int(np.argmin(distances)))
    assert set(directions) == {0, 1}


def store_vector(folder: Path, frames: Path, x: int) -> None:
    """Store a flow of (x, 0) from every frame, as `isomer prepare` would."""
    for path in frames.iterdir():
        write_kitti_flow(folder / f"{path.stem}.png", np.full((72, 96, 2), (x, 0), np.float32))


def shows(image: np.ndarray, x: int) -> bool:
    """Tell whether a flow image is that of (x, 0) or, mirrored, (-x, 0), but for the turns of crop and camera."""
    colour = np.median(image.reshape(-1, 3), axis=0)
    wanted = [flow_to_image(np.full((8, 8, 2), (sign * x, 0), np.float32))[0, 0].astype(int) for sign in (1, -1)]
    return min(np.abs(colour - each).max() for each in wanted) < 75


def test_each_step_has_its_own_stored_flow_and_the_rest_is_estimated(
    stills: Path, videos: Path, tmp_path: Path
) -> None:
    shutil.copytree(videos / "0", tmp_path / "0")
    shutil.rmtree(tmp_path / "0/flow")
    for step in (1, 2):
        store_vector(tmp_path / f"0/flow{'_2' if step == 2 else ''}", tmp_path / "0/frames", 20)
    (tmp_path / "0/flow_2/00000.png").unlink()  # a pair may lack it
    options = {"real": 1.0, "drop_motion": 0.0, "motion_from_frame": 0.0, "max_step": 3}
    stored, estimated = stream(stills, tmp_path, **options), stream(stills, tmp_path, stored_flow=0.0, **options)
    half = stream(stills, tmp_path, stored_flow=0.5, **options)
    found = set()
    for i in range(60):
        pair = tuple(int(Path(name).stem) for name in stored[i].sources)
        has_flow = pair[1] - pair[0] < 3 and pair != (0, 2)
        assert shows(stored[i].flow, 20) == has_flow
        found.add(pair)
        assert not shows(estimated[i].flow, 20)
    assert found == {(0, 1), (1, 2), (2, 3), (0, 2), (1, 3), (0, 3)}
    share = np.mean([shows(half[i].flow, 20) for i in range(100)])
    assert 0.12 < share < 0.38  # half of those that have some


def test_stored_flow_is_warped_as_the_frames_are(
    stills: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixel by pixel, with nearest neighbours: a point and where its vector leads are moved as the pictures are."""
    shutil.copytree(videos / "0", tmp_path / "0")
    rng = np.random.default_rng(4)
    field = cv2.resize(rng.normal(0, 6, (3, 4, 2)).astype(np.float32), (96, 72), interpolation=cv2.INTER_CUBIC)
    for path in (tmp_path / "0/frames").iterdir():
        write_kitti_flow(tmp_path / "0/flow_2" / f"{path.stem}.png", field)
    crop = similarity(0.05, 1.3, (48, 36), (31.5, 31.5), mirror=True)
    camera = similarity(0.02, 1.01, (32, 32), (33.0, 31.0))
    monkeypatch.setattr(samples_module, "random_crop", lambda *_: crop)
    monkeypatch.setattr(Motion, "matrix", lambda *_: camera)
    seen = []
    monkeypatch.setattr(samples_module, "flow_to_image", lambda flow: seen.append(flow) or flow_to_image(flow))
    stored = stream(stills, tmp_path, real=1.0, max_step=2)
    steps = []
    for i in range(12):
        first, second = (int(Path(name).stem) for name in stored[i].sources)
        steps.append(second - first)
    vectors = seen[steps.index(2)]
    inverse = np.linalg.inv(crop)
    for v in range(4, 60, 7):
        for u in range(4, 60, 7):
            x, y, _ = inverse @ (u, v, 1)
            p = np.array([x, y, 1]) + np.append(field[round(y), round(x)], 0)
            expected = (camera @ crop @ p)[:2] - (u, v)
            np.testing.assert_allclose(vectors[v, u], expected, atol=0.8)  # between pixels the field changes


def test_sizes_of_the_finish_begin_at_its_step(stills: Path) -> None:
    samples = stream(stills, real=0.0, sizes=(48, 64), finish_sizes=(80,), finish=3)
    sizes = [samples[4 * step].frame.shape[0] for step in range(8)]
    before = stream(stills, real=0.0, sizes=(48, 64))
    assert sizes[:3] == [before[4 * step].frame.shape[0] for step in range(3)]
    assert sizes[3:] == [80] * 5


def test_a_frame_without_an_object_makes_a_sample(stills: Path, videos: Path, tmp_path: Path) -> None:
    shutil.copytree(videos / "0", tmp_path / "0")
    for path in (tmp_path / "0/masks").iterdir():
        write_image(path, np.zeros((72, 96), np.uint8))
    sample = stream(stills, tmp_path, real=1.0)[0]
    assert not sample.mask.any()
    assert sample.skipped == ()


def test_an_unreadable_image_is_left_out_by_name_or_stops(stills: Path, tmp_path: Path) -> None:
    shutil.copytree(stills, tmp_path / "bad")
    (tmp_path / "bad/images/2.png").write_bytes(b"\x89PNG broken")
    samples = stream(tmp_path / "bad", real=0.0)
    batch = collate([samples[i] for i in range(24)])
    assert batch.skipped
    assert all("images/2.png" in message for message in batch.skipped)
    assert not any("images/2.png" in name for sources in batch.sources for name in sources)
    strict = stream(tmp_path / "bad", real=0.0, strict=True)
    with pytest.raises(InputError, match=r"images/2\.png"):
        [strict[i] for i in range(24)]


def test_data_without_a_readable_image_stop_in_the_end(stills: Path, tmp_path: Path) -> None:
    shutil.copytree(stills, tmp_path / "bad")
    for path in (tmp_path / "bad/images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError):
        stream(tmp_path / "bad", real=0.0, max_step=2)[0]


def test_pairs_further_apart_are_drawn_too(stills: Path, videos: Path) -> None:
    samples = stream(stills, videos, real=1.0, max_step=3)
    steps = set()
    for i in range(30):
        first, second = (int(Path(name).stem) for name in samples[i].sources)
        steps.add(second - first)
    assert steps == {1, 2, 3}

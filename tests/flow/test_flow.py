from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.flow import (
    ANCHOR,
    DISFlow,
    Flow,
    FlowFiles,
    flow_to_image,
    frames_with_flow,
    motion_scale,
    moving_frames,
    read_flo,
    write_flo,
)
from isomer.media import Frame


def texture(seed: int = 0, height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def video(images: list[NDArray[np.uint8]]) -> list[Frame]:
    return [Frame(i, image, i / 24, f"{i:05d}") for i, image in enumerate(images)]


def panning(step: int, count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    wide = texture(seed, 96, 128 + step * count)
    return [np.ascontiguousarray(wide[:, i * step : i * step + 128]) for i in range(count)]


class Recorder:
    """Says which frames it was asked about: the flow is the distance in time, in x."""

    def __init__(self, motion: float = 1.0) -> None:
        self.pairs: list[tuple[int, int]] = []
        self.motion = motion

    def __call__(self, source: Frame, target: Frame) -> Flow:
        self.pairs.append((source.index, target.index))
        flow = np.zeros((8, 8, 2), np.float32)
        flow[..., 0] = self.motion * (target.index - source.index)
        return flow


def test_dis_finds_a_shift() -> None:
    first, second = panning(3, 2)
    flow = DISFlow().between(first, second)
    assert np.median(flow[16:-16, 16:-16, 0]) == pytest.approx(-3, abs=0.1)
    assert np.median(flow[16:-16, 16:-16, 1]) == pytest.approx(0, abs=0.1)


def test_dis_measures_in_pixels_of_its_own_grid() -> None:
    first, second = panning(4, 2)
    flow = DISFlow(short_side=48).between(first, second)
    assert flow.shape == (48, 64, 2)
    assert np.median(flow[8:-8, 8:-8, 0]) == pytest.approx(-2, abs=0.1)


def middlebury_colour(u: float, v: float) -> NDArray[np.float64]:
    """Transcribe the wheel's definition for one vector of at most unit length."""
    wheel = []
    for count, start, end in (
        (15, (255, 0, 0), (255, 255, 0)),
        (6, (255, 255, 0), (0, 255, 0)),
        (4, (0, 255, 0), (0, 255, 255)),
        (11, (0, 255, 255), (0, 0, 255)),
        (13, (0, 0, 255), (255, 0, 255)),
        (6, (255, 0, 255), (255, 0, 0)),
    ):
        for i in range(count):
            wheel.append([a + (b - a) * i / count for a, b in zip(start, end, strict=True)])
    position = (np.arctan2(-v, -u) / np.pi + 1) / 2 * (len(wheel) - 1)
    low = int(np.floor(position))
    share = position - low
    colour = (1 - share) * np.array(wheel[low]) + share * np.array(wheel[(low + 1) % len(wheel)])
    return 255 - np.hypot(u, v) * (255 - colour)


@given(st.floats(0, 2 * np.pi), st.floats(0, 1))
def test_colours_are_the_middlebury_wheels(angle: float, speed: float) -> None:
    u, v = np.float32(speed * np.cos(angle)), np.float32(speed * np.sin(angle))
    if abs(v) < 1e-5:  # the wheel is not closed: its two ends meet at v = 0, where the sign of a rounding decides
        return
    image = flow_to_image(np.full((1, 1, 2), (u, v), np.float32), scale=1.0)
    # Levels are cut to whole ones; half a step of speed and of direction add less than half a level each.
    assert np.abs(image[0, 0] - middlebury_colour(float(u), float(v))).max() < 2


def test_stillness_is_white_and_noise_stays_pale() -> None:
    assert (flow_to_image(np.zeros((64, 64, 2), np.float32)) == 255).all()
    noise = np.random.default_rng(0).normal(0, 0.02, (256, 256, 2)).astype(np.float32)
    assert flow_to_image(noise).min() > 230


def test_scale_is_a_high_percentile_above_the_floor() -> None:
    flow = np.zeros((100, 100, 2), np.float32)
    flow[:, :50, 1] = 7
    assert motion_scale(flow) == pytest.approx(7)
    assert motion_scale(flow / 100) == pytest.approx(np.hypot(100, 100) / 256)


def test_flow_looks_one_frame_ahead_and_back_from_the_last() -> None:
    estimator = Recorder()
    results = list(frames_with_flow(video(panning(1, 5)), estimator, max_step=1))
    assert [frame.index for frame, _ in results] == [0, 1, 2, 3, 4]
    assert estimator.pairs == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 3)]
    assert all(flow[0, 0, 0] == 1 for _, flow in results)  # the last one's sign is that of forward motion


def test_both_directions_of_the_same_motion_agree() -> None:
    moving = list(moving_frames(video(panning(3, 6)), DISFlow(), max_step=1, both=True))
    assert [m.opens_shot for m in moving] == [True] + [False] * 5
    for m in moving:
        assert m.steps == (1, 1)
        for flow in m.flows:
            assert abs(float(np.median(flow[..., 0])) - float(np.median(moving[2].flows[0][..., 0]))) < 0.1
    assert moving[0].flows[0] is moving[0].flows[1]  # an end of the shot gets what there is twice
    assert not np.array_equal(*moving[2].flows)


def test_slow_motion_lengthens_the_step_and_fast_motion_shortens_it() -> None:
    slow = Recorder(motion=0.001)
    list(frames_with_flow(video(panning(1, 12)), slow, max_step=4))
    assert slow.pairs[:4] == [(0, 1), (1, 3), (2, 6), (3, 7)]
    assert slow.pairs[-1] == (11, 7)
    fast = Recorder(motion=5)
    list(frames_with_flow(video(panning(1, 12)), fast, max_step=4))
    assert {abs(a - b) for a, b in fast.pairs} == {1}


def test_flow_never_crosses_a_cut() -> None:
    red, blue = texture(1), texture(2)
    red[..., 1:] //= 4
    blue[..., :2] //= 4
    estimator = Recorder(motion=0.001)
    frames = video([red] * 4 + [blue] * 3 + [red])
    results = list(frames_with_flow(frames, estimator, max_step=4))
    assert len(results) == 8
    shot = [0, 0, 0, 0, 1, 1, 1, 2]
    assert all(shot[a] == shot[b] for a, b in estimator.pairs)
    assert (results[-1][1] == 0).all()  # a shot of one frame has no motion


def keys(motion: float, count: int, key_interval: int = 4) -> list[int]:
    """Which frames are key frames where everything moves by `motion`, a share of the diagonal, a frame."""
    estimator = Recorder(motion * float(np.hypot(8, 8)))
    moving = list(moving_frames(video(panning(1, count)), estimator, key_interval=key_interval))
    assert [m.frame.index for m in moving] == list(range(count))
    assert all(bool(m.flows) == bool(m.steps) for m in moving)
    assert len({source for source, _ in estimator.pairs}) == sum(bool(m.flows) for m in moving)  # no flow is wasted
    return [m.frame.index for m in moving if m.flows]


@pytest.mark.parametrize(
    ("motion", "apart"), [(0.0, 4), (0.019, 4), (0.02, 3), (0.027, 2), (0.038, 2), (0.04, 1), (0.5, 1)]
)
def test_key_frames_are_as_far_apart_as_the_motion_allows(motion: float, apart: int) -> None:
    assert keys(motion, 25) == list(range(0, 25, apart))
    assert keys(motion, 25, key_interval=1) == list(range(25))
    assert keys(motion, 25, key_interval=2) == list(range(0, 25, min(apart, 2)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.01, 0.02, 0.03, 0.2]), min_size=1, max_size=40), st.integers(1, 9))
def test_shots_begin_and_end_with_key_frames(motion: list[float], interval: int) -> None:
    speeds = [*motion, 0.0, 0.0]

    def estimator(source: Frame, target: Frame) -> Flow:
        return np.full((8, 8, 2), 8 * speeds[source.index] * (target.index - source.index), np.float32)

    image = texture()
    frames = video([image] * len(motion) + [255 - image // 2] * 2)
    found = [m for m in moving_frames(frames, estimator, key_interval=interval) if m.flows]
    indices = [m.frame.index for m in found]
    assert {0, len(motion) - 1, len(motion), len(motion) + 1} <= set(indices)
    assert set(range(0, len(motion), ANCHOR)) <= set(indices)
    assert max(np.diff(indices)) <= interval
    assert [m.frame.index for m in found if m.opens_shot] == [0, len(motion)]


def test_a_pan_is_no_cut() -> None:
    estimator = Recorder()
    list(frames_with_flow(video(panning(8, 10)), estimator, max_step=1))
    assert len(estimator.pairs) == 10


def test_the_stream_holds_few_frames() -> None:
    alive = 0

    def frames() -> object:
        nonlocal alive
        for frame in video([texture()] * 50):
            alive += 1
            yield frame

    for seen, _ in enumerate(frames_with_flow(frames(), Recorder(), max_step=4), 1):  # type: ignore[arg-type]
        assert alive <= seen + 6
    alive = 0
    for seen, _ in enumerate(moving_frames(frames(), Recorder(0), key_interval=9), 1):  # type: ignore[arg-type]
        assert alive <= seen + 11


def test_flo_files_round_trip_and_serve_as_an_estimator(tmp_path: Path) -> None:
    flows = np.random.default_rng(0).normal(size=(2, 5, 7, 2)).astype(np.float32)
    for i, flow in enumerate(flows):
        write_flo(tmp_path / f"{i:05d}.flo", flow)
    assert np.array_equal(read_flo(tmp_path / "00001.flo"), flows[1])
    assert np.array_equal(cv2.readOpticalFlow(str(tmp_path / "00001.flo")), flows[1])
    results = list(frames_with_flow(video(panning(1, 3)), FlowFiles(tmp_path), max_step=1))
    assert np.array_equal(results[0][1], flows[0])
    assert np.array_equal(results[2][1], flows[1])  # no file for the last frame: the one before it


@pytest.mark.parametrize(("stride", "max_step"), [(1, 4), (2, 1)])
def test_flow_files_never_stand_in_for_a_longer_step(tmp_path: Path, stride: int, max_step: int) -> None:
    frames = video(panning(1, 12))
    for frame in frames:
        write_flo(tmp_path / f"{frame.name}.flo", np.zeros((5, 7, 2), np.float32))  # so slow that the step grows
    with pytest.raises(InputError, match=r"only between neighbours; give max_step=1 and no stride$"):
        list(frames_with_flow(frames[::stride], FlowFiles(tmp_path), max_step))


def test_a_missing_or_foreign_flo_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.flo").write_bytes(b"not a flow")
    write_flo(tmp_path / "cut.flo", np.zeros((5, 7, 2), np.float32))
    whole = (tmp_path / "cut.flo").read_bytes()
    (tmp_path / "cut.flo").write_bytes(whole[:-1])
    for name, sides in {"negative": (-7, 5), "twice": (-7, -5), "huge": (2**31 - 1, 2**31 - 1), "none": (0, 5)}.items():
        (tmp_path / f"{name}.flo").write_bytes(whole[:4] + struct.pack("<ii", *sides) + whole[12:])
    for name in ("bad.flo", "missing.flo", "cut.flo", "negative.flo", "twice.flo", "huge.flo", "none.flo"):
        with pytest.raises(InputError, match=name):
            read_flo(tmp_path / name)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PIEH",
        b"no flow at all",
        b"PIEH" + struct.pack("<ii", 4, 4) + bytes(127),
        b"PIEH" + struct.pack("<ii", -4, 4) + bytes(128),
        b"PIEH" + struct.pack("<ii", -4, -4) + bytes(128),
        b"PIEH" + struct.pack("<ii", 0, 4),
        b"PIEH" + struct.pack("<ii", 2**31 - 1, 2**31 - 1),
    ],
)
def test_a_flow_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "0.flo").write_bytes(content)
    with pytest.raises(InputError, match=r"0\.flo: not a readable \.flo file"):
        read_flo(tmp_path / "0.flo")

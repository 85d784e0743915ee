"""Parts of a video, joined, give what the video segmented whole gives, byte for byte."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isomer.cluster.inputs import Video
from isomer.cluster.settings import Settings
from isomer.cluster.shards import WARM_UP, PairedFlow, Seams, Shard, look_ahead, split
from isomer.cluster.worker import Done, PartDone, TooLong, Worker
from isomer.errors import ArgumentError
from isomer.flow import ANCHOR, moving_frames
from isomer.media import OUTPUTS, Frame
from isomer.segment import segment_video

WriteClip = Callable[[Path, Sequence[float]], Path]


def content(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def segment_in_parts(worker: Worker, video: Video, parts: Path) -> tuple[Done, int]:
    """Do what the batch does, without Ray; return also the number of repairs."""
    too_long = worker.run("segment", video).result
    assert isinstance(too_long, TooLong)
    seams = Seams(split(too_long.frames, worker._settings.shard))
    tasks, repairs = seams.shards, 0
    while tasks:
        for shard in tasks:
            part = worker.run("segment_part", video, parts, shard).result
            assert isinstance(part, PartDone)
            seams.add(shard, part.pairs)
        assert seams.complete
        tasks = seams.repairs()
        repairs += len(tasks)
    done = worker.run("join", video, parts).result
    assert isinstance(done, Done)
    return done, repairs


@pytest.mark.parametrize(
    ("motion", "stride", "repairs", "more"),
    [
        # Still, then at a speed at which any temporal step persists, until a jolt: parts guess it wrong.
        pytest.param([0.0] * 3 + [0.7] * 90 + [6.0] * 4 + [0.7] * 10, 1, 2, {}, id="guessed wrong"),
        pytest.param([3.0] * 45, 1, 0, {"smoothing": 0.0}, id="guessed right"),
        pytest.param([0.0] * 3 + [0.7] * 60, 1, 1, {"views": 2}, id="looks back as well"),
        pytest.param([0.0] * 6 + [0.35] * 150, 2, 1, {}, id="strided"),
        pytest.param([0.0] * 3 + [0.7] * 60, 1, 1, {"key_interval": 3, "max_step": 8}, id="longer steps"),
        pytest.param([0.0] * 3 + [0.7] * 60, 1, 1, {"objects": True}, id="objects"),
    ],
)
def test_joined_is_whole(
    motion: list[float],
    stride: int,
    repairs: int,
    more: dict[str, float],
    weights: Path,
    write_clip: WriteClip,
    tmp_path: Path,
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", motion)
    kinds = tuple(OUTPUTS) if repairs == 2 or "objects" in more else ("probabilities", "masks")
    options = {"model": str(weights), "size": 64, "backend": "torch", "threshold": 0.4, "stride": stride, **more}
    (tmp_path / "whole").mkdir()
    whole = segment_video(clip, tmp_path / "whole", outputs=kinds, **options)
    (tmp_path / "joined").mkdir()
    worker = Worker(Settings(outputs=kinds, shard=24, **options))
    assert worker.load() is None

    done, repaired = segment_in_parts(worker, Video(clip, tmp_path / "joined" / "clip"), tmp_path / "parts")

    assert repaired >= repairs if repairs else repaired == 0
    assert done.frames == whole.frames == len(range(0, len(motion) + 1, stride))
    expected = content(tmp_path / "whole")
    assert any(np.frombuffer(data, np.uint8).size > 100 for data in expected.values())
    assert content(tmp_path / "joined") == expected
    assert not (tmp_path / "parts").exists()


class Walk:
    """An estimator whose flows are drawn, whatever the frames show, but by the pair alone."""

    def __init__(self, seed: int, diagonal: float):
        self.seed, self.diagonal = seed, diagonal

    def __call__(self, source: Frame, target: Frame) -> np.ndarray:
        rng = np.random.default_rng((self.seed, source.index, target.index))
        share = rng.choice([0, 1 / 64, 1 / 30, 1], p=[0.04, 0.9, 0.03, 0.03])  # mostly what any step persists at
        return np.full((16, 16, 2), share * self.diagonal, np.float32)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    reach=st.sampled_from([(4, 6), (4, 1), (4, 5), (2, 12), (3, 6), (8, 4), (12, 3), (1, 12)]),
    cuts=st.sets(st.integers(1, 119), max_size=4),
    most=st.integers(WARM_UP, 60),
)
def test_any_motion_and_cuts_pair_in_parts_as_in_the_whole(
    seed: int, reach: tuple[int, int], cuts: set[int], most: int
) -> None:
    """The rules of seams and repairs alone, on a chain of steps that has no network and no video."""
    max_step, key_interval = reach
    Settings(max_step=max_step, key_interval=key_interval, shard=most)  # takes it
    colours = np.random.default_rng(seed).integers(0, 255, (len(cuts) + 1, 1, 1, 3), np.uint8)
    shots = np.searchsorted(sorted(cuts), np.arange(120), side="right")
    frames = [Frame(i, np.broadcast_to(colours[s], (16, 16, 3)).copy(), i / 24, "") for i, s in enumerate(shots)]

    def paired(shard: Shard, had: list[int]) -> list[int]:
        flow = PairedFlow(Walk(seed, np.hypot(16, 16)), key_interval)
        flow.begin(shard.seam, shard.step)
        stop = None if shard.stop is None else shard.stop + look_ahead(max_step, key_interval)
        part = frames[max(0, shard.seam - WARM_UP) : stop]
        pairs: list[int] = []
        beyond = False
        for frame, *_ in moving_frames(part, flow, max_step, key_interval=key_interval):
            if frame.index < shard.seam or beyond:
                continue
            pair = flow.pair(frame)
            if pair and had[len(pairs) : len(pairs) + 1] == [pair]:
                return pairs + had[len(pairs) :]
            pairs.append(pair)
            beyond = bool(pair) and shard.stop is not None and frame.index > shard.stop
        return pairs

    seams = Seams(split(120, most))
    had: dict[int, list[int]] = {}
    tasks = seams.shards
    while tasks:
        for shard in tasks:
            had[shard.start] = paired(shard, had.get(shard.start, []))
            seams.add(shard, had[shard.start])
        tasks = seams.repairs()
    whole = paired(Shard(0, None), [])
    for shard in seams.shards:  # from the key frame before its first map to the one after its last
        found = had[shard.start]
        assert found == whole[shard.seam : shard.seam + len(found)]
        assert shard.seam + len(found) >= (120 if shard.stop is None else shard.stop + 1)


@settings(deadline=None)
@given(frames=st.integers(2, 10**6), most=st.integers(WARM_UP, 10**5))
def test_split_is_whole_and_even(frames: int, most: int) -> None:
    shards = split(frames, most)
    assert shards[0].start == 0
    assert shards[-1].stop is None
    assert all(before.stop == after.start for before, after in pairwise(shards))
    lengths = [(shard.stop or frames) - shard.start for shard in shards]
    assert max(lengths) <= most
    assert all(shard.start % ANCHOR == 0 for shard in shards)
    anchors = [math.ceil(length / ANCHOR) for length in lengths]
    assert max(anchors) - min(anchors) <= 1


@pytest.mark.parametrize(("max_step", "key_interval"), [(4, 7), (8, 5), (16, 1), (5, 6)])
def test_options_by_which_parts_would_differ_are_refused(max_step: int, key_interval: int) -> None:
    Settings(max_step=max_step, key_interval=key_interval)
    with pytest.raises(ArgumentError, match=r"shard=24: with a key interval of .* parts would not give what the whole"):
        Settings(max_step=max_step, key_interval=key_interval, shard=24)

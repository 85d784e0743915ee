"""Objects of a whole video: who is who over time, and which are left. The scenes are drawn, so that both are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from drawn_objects import BLUE, HEIGHT, RED, THINGS, WIDTH, Colourful, Place, Thing, drawn

from isomer.errors import ArgumentError
from isomer.media import open_frames
from isomer.media.image import read_gray, read_palette, write_image
from isomer.segment import segment_video
from isomer.segment.objects.tracker import with_steps
from isomer.segment.objects.tracklets import joined
from isomer.segment.objects.video_objects import Follower, VideoObjects, objects_in, seen_anew, track_objects


def numbers_of(things: Sequence[Thing], count: int, posts: Sequence[int] = ()) -> dict[int, set[int]]:
    """The numbers that each true object gets on more than a twentieth of its pixels."""
    scene = list(drawn(things, count, posts))
    counts = np.zeros((len(things) + 1, 256))
    for result, (_, truth) in zip(track_objects([result for result, _ in scene]), scene, strict=True):
        np.add.at(counts, (truth, result.labels), 1)
    often = counts > 0.05 * counts.sum(axis=1, keepdims=True)
    return {number: set(np.flatnonzero(often[number]).tolist()) for number in range(1, len(things) + 1)}


def followed(things: Sequence[Thing], count: int) -> tuple[VideoObjects, Follower]:
    follower = Follower()
    for result, step in with_steps(result for result, _ in drawn(things, count)):
        follower.add(result, result.probability, step)
    return follower.objects(), follower


def still(x: int, y: int) -> Place:
    return lambda t: (x, y)


def away(t: int) -> tuple[int, int] | None:
    """It crosses the frame, is gone for two seconds, and comes in again elsewhere."""
    return (20 + 8 * t, 40) if t < 20 else None if t < 68 else (320 - 8 * (t - 67), 110)


def test_who_comes_back_after_long_is_the_same() -> None:
    assert numbers_of([Thing(RED, (60, 50), away)], 90) == {1: {1}}


def test_another_who_comes_later_is_not() -> None:
    first = Thing(RED, (60, 50), lambda t: away(t) if t < 20 else None)
    second = Thing(BLUE, (60, 50), lambda t: away(t) if t > 20 else None)
    assert numbers_of([first, second], 90) == {1: {1}, 2: {2}}


def test_two_at_once_are_two_however_alike() -> None:
    things = [Thing(RED, (50, 50), still(20, 20)), Thing(RED, (40, 40), still(240, 120))]
    assert numbers_of(things, 20) == {1: {1}, 2: {2}}


def test_who_stays_behind_posts_is_one() -> None:
    """In pieces from the first frame on, for longer than the tracker bears."""
    thing = Thing(RED, (130, 90), lambda t: (60 + t, 60))
    assert numbers_of([thing], 40, posts=[90, 160]) == {1: {1}}


def test_who_cross_are_who_they_were() -> None:
    things = [Thing(RED, (60, 100), lambda t: (250 - 6 * t, 40)), Thing(BLUE, (50, 60), lambda t: (10 + 6 * t, 70))]
    first, second = numbers_of(things, 40).values()
    assert len(first) == len(second) == 1
    assert first != second


def partitions(things: list[int]) -> Iterator[list[list[int]]]:
    if not things:
        yield []
        return
    first, *rest = things
    for groups in partitions(rest):
        yield [[first], *groups]
        for index, group in enumerate(groups):
            yield [*groups[:index], [first, *group], *groups[index + 1 :]]


@pytest.mark.parametrize("seed", range(8))
def test_what_belongs_together_is_joined_as_trying_all_ways_shows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, 7)
    evidence = np.where(group[:, None] == group, 2.0, -2.0) + rng.normal(0, 0.8, (7, 7))
    evidence += evidence.T

    def within(groups: list[list[int]]) -> float:
        return sum(float(evidence[pair]) for one in groups for pair in combinations(sorted(one), 2))

    def between(one: list[int], other: list[int]) -> float:
        return float(evidence[np.ix_(one, other)].sum())

    best = max(partitions(list(range(7))), key=within)
    found = joined([[index] for index in range(7)], between, lambda one, other: one + other)
    assert sorted(map(sorted, found)) == sorted(sorted(one) for one in best)


def test_evidence_of_the_whole_counts() -> None:
    """Each of three speaks for its neighbour, and the first two together against the third."""
    said = {("a", "b"): 3.0, ("b", "c"): 2.0, ("a", "c"): -1.0, ("ab", "c"): -5.0}
    found = joined(["a", "b", "c"], lambda one, other: said[min(one, other), max(one, other)], lambda a, b: a + b)
    assert found == ["ab", "c"]


def test_nothing_to_join() -> None:
    nothing: list[str] = []
    for things in (nothing, ["a"]):
        assert joined(things, lambda one, other: 1.0, lambda one, other: one + other) == things


def test_a_post_that_passes_before_one_leaves_it_one() -> None:
    """The pieces on both sides grow and shrink, so their middles move past each other's."""
    thing = Thing(RED, (130, 60), lambda t: (190 - 5 * t, 60))
    assert numbers_of([thing], 40, posts=[150]) == {1: {1}}


@pytest.fixture(scope="module")
def objects() -> VideoObjects:
    return followed(THINGS, 20)[0]


def test_what_is_known_of_objects(objects: VideoObjects) -> None:
    first, second, third = objects.found
    assert [one.number for one in objects.found] == [1, 2, 3]
    assert (first.frames, first.spans, first.start) == (20, ((0, 19),), 0)
    assert (third.frames, third.spans) == (10, ((10, 19),))
    assert third.start == pytest.approx(10 / 24)
    assert third.end == pytest.approx(19 / 24)
    assert first.area == pytest.approx(90 * 90 / (WIDTH * HEIGHT), rel=0.02)
    assert second.box[2:] == pytest.approx((40 / WIDTH, 40 / HEIGHT), rel=0.1)


def test_objects_of_known_numbers(objects: VideoObjects) -> None:
    """What the numbers of each frame say is what following said."""
    for one, other in zip(objects_in(objects.labels, objects.moments), objects.found, strict=True):
        assert replace(one, area=0, clearest=0, box=other.box) == replace(other, area=0, clearest=0)
        assert one.area == pytest.approx(other.area)


def test_an_object_is_seen_anew_as_its_new_numbers_say(objects: VideoObjects) -> None:
    now = [np.array(labels) for labels in objects.labels]
    for position in (0, 1, 7):
        now[position][now[position] == 2] = 1
    found = [seen_anew(one, objects.moments, objects.labels, now, [0, 1, 7, 9]) for one in objects.found]
    for one, expected in zip(found, objects_in(now, objects.moments), strict=True):
        assert one is not None
        assert (one.number, one.frames, one.spans) == (expected.number, expected.frames, expected.spans)
        assert (one.start, one.end) == (expected.start, expected.end)
        assert one.area == pytest.approx(expected.area)
    assert found[1] is not None
    assert found[1].spans == ((2, 6), (8, 19))
    nothing = [np.zeros_like(labels) for labels in now]
    assert seen_anew(objects.found[2], objects.moments, objects.labels, nothing, range(20)) is None


@pytest.mark.parametrize(
    ("keep", "drop", "expected"),
    [
        ([], [], None),
        (["2"], [], {2}),
        (["1", "3"], ["3"], {1}),
        ([], ["1"], {2, 3}),
        (["all"], ["largest"], {2, 3}),
        (["largest"], [], {1}),
        (["centre"], [], {2}),
        (["0.2,0.3@0.1s"], [], {1}),
        (["0.5,0.5@0"], [], {2}),
        (["0.86,0.86@19"], [], {3}),
    ],
)
def test_objects_are_chosen(objects: VideoObjects, keep: list[str], drop: list[str], expected: set[int] | None) -> None:
    assert objects.chosen(keep, drop) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("4", "no such object; there are 3, from 1 on"),
        ("0.86,0.86@0", "no object there in frame 0, at 0.00 s; isomer objects lists them"),
        ("0.5,0.5@9s", "after the last frame, 19, at 0.79 s"),
    ],
)
def test_objects_that_are_not_there_are_refused(objects: VideoObjects, text: str, problem: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        objects.chosen([], [text])
    assert str(caught.value) == f"drop={text}: {problem}"


def test_of_those_that_are_not_chosen_nothing_is_left() -> None:
    scene = list(drawn(THINGS, 20))
    for result, (before, truth) in zip(track_objects([one for one, _ in scene], keep=["2"]), scene, strict=True):
        assert result.labels is not None
        assert not result.probability[(truth == 1) | (truth == 3)].any()
        np.testing.assert_array_equal(result.probability[truth == 2], before.probability[truth == 2])
        np.testing.assert_array_equal(result.labels, np.where(truth == 2, 2, 0))


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("isomer.segment.segmenter.create_backend", lambda *_, **__: Colourful())
    folder = tmp_path / "clip"
    folder.mkdir()
    for result, _ in drawn(THINGS, 20):
        write_image(folder / f"{result.name}.png", result.image)
    return folder


def test_every_output_is_of_what_is_chosen(clip: Path, tmp_path: Path) -> None:
    kinds = ["masks", "palette", "probabilities", "cutouts"]
    segment_video(clip, tmp_path / "out", outputs=kinds, keep=["1", "3"], drop=["largest"], objects=True)
    truth = [truth for _, truth in drawn(THINGS, 20)]
    for position, frame in enumerate(open_frames(clip)):
        mask = read_gray(tmp_path / f"out/clip_masks/{frame.name}.png") > 0
        known = truth[position] == 3
        assert (mask & known).sum() >= 0.9 * known.sum()
        assert not (mask & (truth[position] > 0) & ~known).any()
        labels = read_palette(tmp_path / f"out/clip_palette/{frame.name}.png")
        np.testing.assert_array_equal(labels, np.where(mask, 3, 0))
        levels = read_gray(tmp_path / f"out/clip_probabilities/{frame.name}.png")
        np.testing.assert_array_equal(levels >= 128, mask)


def test_objects_unchosen_are_the_masks_without_objects(clip: Path, tmp_path: Path) -> None:
    """But for a rounding of the maps to 8 bits on the way."""
    segment_video(clip, tmp_path / "plain", outputs=["probabilities"], edges="map")
    segment_video(clip, tmp_path / "apart", outputs=["probabilities"], objects=True, edges="map")
    for frame in open_frames(clip):
        plain, apart = (read_gray(tmp_path / name / f"{frame.name}.png").astype(int) for name in ("plain", "apart"))
        assert abs(plain - apart).max() <= 1


def test_an_object_that_is_not_there_leaves_nothing_written(clip: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ArgumentError, match="keep=9: no such object; there are 3, from 1 on"):
        segment_video(clip, tmp_path / "out", outputs=["masks"], keep=["9"])
    assert sorted(path.name for path in tmp_path.iterdir()) == before

"""Drawn scenes whose objects are known: meeting, crossing, leaving, splitting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.media import Segmented
from isomer.model.network import Isomer
from isomer.segment import Segmenter
from isomer.segment.objects.tracker import ObjectTracker, number_objects, with_steps
from isomer.segment.objects.video_objects import track_objects

WIDTH, HEIGHT = 160, 96

Place = Callable[[int], tuple[float, float]]


@dataclass(frozen=True)
class Box:
    """An axis-aligned thing whose centre is at `place(t)`; whole pixels, so that its flow is exact."""

    place: Place
    width: int
    height: int
    present: Callable[[int], bool] = lambda t: True

    def corner(self, t: int) -> NDArray[np.int64]:
        return np.rint(np.array(self.place(t)) - (self.width / 2, self.height / 2)).astype(int)

    def draw(self, canvas: NDArray[np.uint8], t: int, value: int) -> None:
        x, y = self.corner(t).tolist()
        cv2.rectangle(canvas, (x, y), (x + self.width - 1, y + self.height - 1), value, -1)


def drawn(things: Sequence[Box], t: int, scale: int = 1) -> NDArray[np.uint8]:
    """The scene's objects, from 1, back to front: uint8 [H, W]."""
    truth = np.zeros((HEIGHT * scale, WIDTH * scale), np.uint8)
    for number, thing in enumerate(things, start=1):
        if thing.present(t):
            thing.draw(truth, t, number)
    return truth


def exact_flow(things: Sequence[Box], t: int) -> NDArray[np.float32]:
    """From frame t to frame t - 1; the background rests."""
    back = [np.zeros(2), *(thing.corner(t - 1) - thing.corner(t) for thing in things)]
    return np.array(back, np.float32)[drawn(things, t)]


def followed(
    things: Sequence[Box], count: int, tracker: ObjectTracker | None = None
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """The truth and what the tracker makes of its mask and flow."""
    tracker = tracker or ObjectTracker()
    for t in range(count):
        truth = drawn(things, t)
        yield truth, tracker.step((truth > 0).astype(np.uint8), exact_flow(things, t) if t else None)


def still(x: float, y: float) -> Place:
    return lambda t: (x, y)


def line(x: float, y: float, dx: float, dy: float = 0) -> Place:
    return lambda t: (x + dx * t, y + dy * t)


def test_the_largest_is_first_and_specks_are_none() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[10:20, 10:20] = mask[50:90, 50:90] = 255
    mask[5, 5:9] = mask[95, 10:15] = 255  # 4 and 5 pixels; 5 are 0.0005 of the frame
    labels = ObjectTracker().step(mask, None)
    assert {number: int((labels == number).sum()) for number in range(5)} == {
        0: 8295,
        1: 1600,
        2: 100,
        3: 5,
        4: 0,
    }
    assert labels[50, 50] == 1


def test_an_empty_stream_of_masks() -> None:
    tracker = ObjectTracker()
    for flow in (None, np.zeros((9, 9, 2), np.float32)):
        assert not tracker.step(np.zeros((9, 9), np.uint8), flow).any()


def test_objects_apart_keep_their_numbers() -> None:
    things = [Box(line(20, 20, 4), 20, 16), Box(line(130, 60, -3, 1), 24, 24), Box(still(20, 80), 12, 12)]
    numbers = {1: 2, 2: 1, 3: 3}  # by size
    for truth, labels in followed(things, 20):
        assert np.array_equal(labels, np.vectorize({0: 0, **numbers}.get)(truth))


def test_objects_that_meet_part_as_who_they_were() -> None:
    """They touch side by side, rest as one region for ten frames, and go back."""

    def pace(t: int) -> int:
        return min(t, 10) - max(0, t - 20)

    things = [Box(lambda t: (45 + 3 * pace(t), 48), 20, 20), Box(lambda t: (125 - 3 * pace(t), 50), 20, 30)]
    for t, (truth, labels) in enumerate(followed(things, 30)):
        assert np.array_equal(labels, np.array((0, 2, 1), np.uint8)[truth]), t


@pytest.mark.parametrize("speed", [2, 4, 7])
def test_who_passes_in_front_gains_nothing(speed: int) -> None:
    """The one in front never hides the other altogether."""
    things = [Box(line(130, 48, -speed), 30, 60), Box(line(20, 50, speed), 16, 30)]
    for t, (truth, labels) in enumerate(followed(things, 100 // speed)):
        for number in (1, 2):
            found, known = labels == number, truth == number
            assert (found & known).sum() / (found | known).sum() > 0.9, (t, number)


def test_one_who_leaves_takes_the_number_along() -> None:
    things = [Box(still(40, 48), 30, 30), Box(line(130, 48, 4), 20, 20), Box(line(-60, 20, 5), 20, 20)]
    seen = [set(np.unique(labels).tolist()) - {0} for _, labels in followed(things, 22)]
    assert seen[0] == {1, 2}
    assert seen[-1] == {1, 3}  # who comes later is another
    assert all(1 in numbers for numbers in seen)


def test_a_gap_in_the_mask_is_bridged_for_as_long_as_patience() -> None:
    for gap, expected in ((3, 1), (5, 1), (6, 2)):
        box = Box(line(20, 48, 3), 24, 24)
        tracker = ObjectTracker(patience=5)
        for t in range(20):
            truth = drawn([box], t)
            hidden = 5 <= t < 5 + gap
            # A mask that fails; the flow still sees the object move.
            labels = tracker.step(truth * (not hidden), exact_flow([box], t) if t else None)
        assert set(np.unique(labels)) == {0, expected}, gap


def test_pieces_are_one_object_for_as_long_as_patience_then_several() -> None:
    post_at = 10

    def mask(t: int) -> NDArray[np.uint8]:
        whole = drawn([Box(still(60, 48), 60, 20)], t)
        if t >= post_at:
            whole[:, 50:54] = 0
        return whole

    tracker = ObjectTracker(patience=5)
    still_flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    seen = [tracker.step(mask(t), still_flow if t else None) for t in range(20)]
    for labels in seen[: post_at + 5]:
        assert set(np.unique(labels)) == {0, 1}
    for labels in seen[post_at + 5 :]:
        assert (labels[48, 40], labels[48, 80]) == (2, 1)  # the larger piece keeps the number
    assert (tracker.step(drawn([Box(still(60, 48), 60, 20)], 0), still_flow)[48, [40, 80]] == (2, 1)).all()


def test_who_passes_behind_a_post_is_one() -> None:
    box = Box(line(40, 48, 8), 30, 20)
    tracker = ObjectTracker()
    for t in range(14):
        truth = drawn([box], t)
        truth[:, 80:84] = 0
        labels = tracker.step(truth, exact_flow([box], t) if t else None)
        assert set(np.unique(labels)) <= {0, 1}, t


def test_who_is_hidden_altogether_comes_out_as_the_same() -> None:
    """A small one passes behind a large one, out of sight for nine frames."""
    things = [Box(line(20, 48, 5), 20, 20), Box(still(80, 50), 60, 50)]
    for t, (truth, labels) in enumerate(followed(things, 28)):
        known = np.array((0, 2, 1), np.uint8)[truth]
        assert set(np.unique(labels)) == set(np.unique(known)), t
        assert (labels != known).mean() < 0.001, t  # a few pixels of the edge at which they meet


def test_a_cut_starts_anew() -> None:
    mask = drawn([Box(still(60, 48), 20, 20)], 0)
    tracker = ObjectTracker()
    assert set(np.unique(tracker.step(mask, None))) == {0, 1}
    assert set(np.unique(tracker.step(mask, None))) == {0, 2}


def test_numbers_are_used_again_only_when_all_have_been() -> None:
    mask = drawn([Box(still(60, 48), 20, 20)], 0)
    tracker = ObjectTracker()
    numbers = [int(tracker.step(mask, None).max()) for _ in range(300)]
    assert numbers == [t % 255 + 1 for t in range(300)]


def test_more_objects_than_numbers() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[::5, ::5] = mask[1::5, ::5] = 1  # 400 of two pixels
    mask[50, 52] = mask[50, 51] = 1  # one grows
    labels = ObjectTracker(min_share=0).step(mask, None)
    assert len(np.unique(labels)) == 256
    assert labels[50, 50] == 1


def test_a_coarse_flow_says_the_same_as_a_fine_one() -> None:
    box = Box(line(30, 48, 8), 24, 24)
    fine, coarse = ObjectTracker(), ObjectTracker()
    whole = np.full((HEIGHT, WIDTH, 2), (-8, 0), np.float32)
    for t in range(10):
        mask = drawn([box], t)
        a = fine.step(mask, whole if t else None)
        b = coarse.step(mask, whole[::4, ::4] / 4 if t else None)
        assert np.array_equal(a, b)


def textured(things: Sequence[Box], count: int) -> Iterator[Segmented]:
    """Frames of twice the size, large enough to estimate flow, with the mask as probability."""
    rng = np.random.default_rng(0)

    def texture(width: int, height: int) -> NDArray[np.uint8]:
        coarse = rng.integers(0, 256, (height // 4 + 2, width // 4 + 2, 3), np.uint8)
        return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)

    size = (2 * WIDTH, 2 * HEIGHT)
    background = texture(*size)
    skins = [texture(thing.width, thing.height) for thing in things]
    for t in range(count):
        image = background.copy()
        for thing, skin in zip(things, skins, strict=True):
            matrix = np.hstack((np.eye(2), thing.corner(t)[:, None]))
            cv2.warpAffine(skin, matrix, size, image, borderMode=cv2.BORDER_TRANSPARENT)
        mask = drawn(things, t, scale=2) > 0
        yield Segmented(t, image, t / 24, f"{t:05d}", probability=mask.astype(np.float32))


CROSSING = [Box(line(250, 96, -4), 60, 120), Box(line(50, 100, 4), 40, 60)]


def test_with_estimated_flow_who_crosses_keeps_the_number() -> None:
    overlaps = []
    for result in track_objects(list(textured(CROSSING, 48))):
        truth = drawn(CROSSING, result.index, scale=2)
        for number in (1, 2):
            found, known = result.labels == number, truth == number
            overlaps.append((found & known).sum() / (found | known).sum())
        assert result.labels is not None
        assert np.array_equal(result.labels > 0, truth > 0)
    assert np.mean(overlaps) > 0.95
    assert overlaps[-2:] == [1, 1]  # apart again


def test_the_same_twice() -> None:
    first, second = ([result.labels for result in track_objects(list(textured(CROSSING, 30)))] for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_cut_in_the_video_ends_all_objects() -> None:
    numbered = [result.labels for result in number_objects(with_steps(two_shots(6)), 0.5)]
    assert [set(np.unique(labels).tolist()) for labels in numbered] == [{0, 1, 2}] * 3 + [{0, 3, 4}] * 3


def two_shots(count: int) -> Iterator[Segmented]:
    """Another colour from the middle on."""
    for result in textured([Box(line(60, 48, 3), 30, 30), Box(still(200, 100), 40, 40)], count):
        shade = np.uint8([1, 1, 1] if result.index < count // 2 else [0, 1, 0])
        yield replace(result, image=result.image * shade)


class _Redness:
    """A back end that finds what is red."""

    stride, workers = 32, 1

    def start(self, frames: NDArray[np.uint8], flows: NDArray[np.uint8]) -> Callable[[], NDArray[np.float32]]:
        return lambda: frames[..., 0] / np.float32(255)


@pytest.mark.parametrize("objects", [0, 1, True, 1.5])
def test_a_segmenter_refuses_what_is_no_probability(network: Isomer, objects: float) -> None:
    with pytest.raises(InputError, match=rf"^objects={objects}: not .*; 0.5 is the default"):
        Segmenter(network, device="cpu")([], objects)


@pytest.mark.parametrize("options", [{"key_interval": 1, "smoothing": 0}, {"key_interval": 1}, {"key_interval": 6}])
def test_a_segmenter_numbers_objects_as_they_are_from_its_stored_results(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows the flow and the cuts, they find them: neither key frames nor what is stored decide on numbers."""
    monkeypatch.setattr("isomer.segment.segmenter.create_backend", lambda *_, **__: _Redness())
    frames = []
    for result in two_shots(24):
        result.image[..., 0] = np.where(result.mask(), 255, 0)
        frames.append(result)
    segmenter = Segmenter("any", size=240, **options)
    found = list(segmenter(frames, objects=0.4))
    assert {int(number) for result in found for number in np.unique(result.labels)} >= {0, 1, 2, 3, 4}
    for result, stored in zip(found, number_objects(with_steps(segmenter(frames)), 0.4), strict=True):
        np.testing.assert_array_equal(result.probability, stored.probability)
        np.testing.assert_array_equal(result.labels, stored.labels)

"""The objects of a whole video: followed frame by frame, joined over all of it, and some of them chosen.

Who an object is can only be said when all of the video is known. So a first pass finds where they are, at a size at
which it costs little, and keeps that; a second pass has the frames again and gets the numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from types import TracebackType
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.choice import PointAt, Time, parse_pick
from isomer.errors import ArgumentError
from isomer.flow import Flow
from isomer.media import Frame, Labels, Segmented
from isomer.media.labels import nearest_labels, object_numbers
from isomer.options import VideoOptions
from isomer.segment.objects.colours import colours_of
from isomer.segment.objects.tracker import ObjectTracker, with_steps
from isomer.segment.objects.tracklets import Tracklets
from isomer.segment.spool import Spool
from isomer.segment.warp import resize_map

_SHORT_SIDE = 256  # of the grid on which objects are followed, that of the flow between frames
_NUMBERS = 255
_TRACKLETS = 2**16
_TOUCH = 3  # pixels of the grid within which what is found belongs to the nearest object
_STAYS = 0.25  # of the frames of the object that stays the longest, which one in the centre is to be in
_AFTER = 0.5  # seconds, or of a frame, by which a time may be later than the last
_SOFT = (5, 5)  # pixels of a map over which one object gives way to another that is left out


@dataclass(frozen=True)
class FoundObject:
    """An object of a video.

    Attributes:
        number: from 1, in the order in which they come into sight, the larger first.
        frames: in how many frames it is in sight.
        start: seconds at which it comes into sight.
        end: seconds at which it is last in sight.
        spans: indices of the first and the last frame of each time that it is in sight without a gap.
        area: mean share of the frame that it has while in sight.
        clearest: index of the frame in which it is the largest, if it can be touching no other.
        box: x, y, width and height there, as shares of the frame's.
    """

    number: int
    frames: int
    start: float
    end: float
    spans: tuple[tuple[int, int], ...]
    area: float
    clearest: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Moment:
    """Which frame of the video it is: its index, and its time in seconds."""

    index: int
    time: float


class FrameMaps(Protocol):
    """Maps of the frames of a video, uint8 [h, w], one each, wherever they are kept."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int, /) -> NDArray[np.uint8]: ...

    def __iter__(self) -> Iterator[NDArray[np.uint8]]: ...


class _Numbered:
    """Tracklets of frames as the objects they are."""

    def __init__(self, tracklets: Spool[np.uint16], numbers: NDArray[np.uint8]) -> None:
        self._tracklets, self._numbers = tracklets, numbers

    def __len__(self) -> int:
        return len(self._tracklets)

    def __getitem__(self, position: int, /) -> Labels:
        return np.asarray(self._numbers[self._tracklets[position]], np.uint8)

    def __iter__(self) -> Iterator[Labels]:
        return (self[position] for position in range(len(self)))


class Follower:
    """Follows the objects of a video in a first pass over it; a context manager that ends what it keeps on the disk.

    Args:
        threshold: probability in (0, 1) from which on a pixel is of an object.
    """

    def __init__(self, threshold: float = VideoOptions.threshold) -> None:
        self._threshold = threshold
        self._tracker = ObjectTracker()
        self._tracklets = Tracklets()
        self._spool = Spool(np.uint16)
        self._moments: list[Moment] = []

    def add(self, frame: Frame, probability: NDArray[np.float32], step: Flow | None) -> None:
        """Follow the objects into the next frame.

        Args:
            frame: the frame.
            probability: its map, float32 [h, w] of any size.
            step: flow to the frame before, float32 [h, w, 2]; None where a shot opens.
        """
        shape = grid_of(frame)
        small = cv2.resize(probability, shape[::-1], interpolation=cv2.INTER_AREA)
        labels = self._tracker.step((small >= self._threshold).view(np.uint8), step, frame.image)
        tracklets = self._tracker.tracklets
        self._tracklets.add(labels, tracklets, self._tracker.alone, colours_of(frame.image, shape))
        self._spool.append(np.where(tracklets < _TRACKLETS, tracklets, 0).astype(np.uint16)[labels])
        self._moments.append(Moment(frame.index, frame.time))

    def objects(self) -> VideoObjects:
        """Join what was followed; of more than 255 objects those stay of which the most is seen."""
        joined = self._tracklets.objects()
        total = [-sum(sum(self._tracklets[one].areas) for one in tracklets) for tracklets in joined]
        numbers = np.zeros(_TRACKLETS, np.uint8)
        found = []
        for number, place in enumerate(sorted(np.argsort(total, kind="stable")[:_NUMBERS].tolist()), start=1):
            tracklets = [one for one in joined[place] if one < _TRACKLETS]
            numbers[tracklets] = number
            found.append(self._described(number, tracklets))
        return VideoObjects(found, self._moments, _Numbered(self._spool, numbers))

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.__exit__(kind, error, trace)

    def _described(self, number: int, tracklets: list[int]) -> FoundObject:
        areas: dict[int, int] = {}
        shared: set[int] = set()
        for one in map(self._tracklets.__getitem__, tracklets):
            for position, area, alone in zip(one.frames, one.areas, one.alone, strict=True):
                areas[position] = areas.get(position, 0) + area
                if not alone:
                    shared.add(position)
        clearest = max(areas, key=lambda position: (position not in shared, areas[position], -position))
        here = self._spool[clearest]
        total = sum(areas.values()) / here.size
        return _described(number, areas, total, self._moments, clearest, np.isin(here, tracklets))


class VideoObjects:
    """The objects of a video, for a second pass over it.

    Args:
        found: the objects, by their numbers.
        moments: of the frames.
        labels: of each frame, uint8 [h, w], on the grid on which objects are followed.
    """

    def __init__(self, found: Sequence[FoundObject], moments: Sequence[Moment], labels: FrameMaps) -> None:
        self.found, self.moments, self.labels = found, moments, labels

    def chosen(self, keep: Sequence[str], drop: Sequence[str]) -> set[int] | None:
        """Return the numbers of the objects that are meant, None for all and what is none; see `VideoOptions.keep`.

        Raises:
            ArgumentError: there is no such object.
        """
        if not keep and not drop:
            return None
        everything = {found.number for found in self.found}
        kept = set().union(*(self._picked("keep", text) for text in keep)) if keep else everything
        return kept - set().union(*(self._picked("drop", text) for text in drop))

    def labelled(
        self, results: Iterable[Segmented], threshold: float, chosen: Collection[int] | None = None
    ) -> Iterator[Segmented]:
        """Number the objects in the same frames again.

        Args:
            results: of the second pass, in the same order.
            threshold: probability in (0, 1) from which on a pixel is of an object.
            chosen: numbers of the objects that get theirs, all by default.
        """
        for position, result in enumerate(results):
            small = _only(self.labels[position], chosen)
            yield replace(result, labels=enlarged(small, result.mask(threshold)))

    def left(
        self, position: int, probability: NDArray[np.float32], chosen: Collection[int] | None
    ) -> NDArray[np.float32]:
        """Return a frame's map [h, w], of any size, with nothing of the objects that are not chosen.

        Pixels belong to the nearest object; from one that stays to one that goes, probability fades over a few pixels.
        """
        if chosen is None:
            return probability
        small = self.labels[position]
        if not small.any():
            return np.zeros_like(probability)
        stays = np.isin(nearest_labels(small), list(chosen)).astype(np.float32)
        share = cv2.blur(resize_map(stays, *probability.shape), _SOFT)
        return np.asarray(probability * share, np.float32)

    def at(self, position: int, x: float, y: float) -> int:
        """Return the number of the object at a point, shares of the frame, or the nearest about there; 0 for none."""
        labels = self.labels[position]
        height, width = labels.shape
        away = cv2.distanceTransform((labels == 0).view(np.uint8), cv2.DIST_L2, 5)
        row, column = min(int(y * height), height - 1), min(int(x * width), width - 1)
        return int(nearest_labels(labels)[row, column]) if labels.any() and away[row, column] <= 2 * _TOUCH else 0

    def _picked(self, argument: str, text: str) -> set[int]:
        pick = parse_pick(text)
        if isinstance(pick, PointAt):
            try:
                position = position_of(self.moments, pick.time)
            except ValueError as error:
                raise ArgumentError(argument, text, str(error)) from None
            if number := self.at(position, pick.x, pick.y):
                return {number}
            moment = self.moments[position]
            where = f"no object there in frame {moment.index}, at {moment.time:.2f} s"
            raise ArgumentError(argument, text, f"{where}; isomer objects lists them")
        if isinstance(pick, int):
            if pick not in (found.number for found in self.found):
                raise ArgumentError(argument, text, f"no such object; {_counted(len(self.found))}")
            return {pick}
        if pick == "all" or not self.found:
            return {found.number for found in self.found}
        if pick == "largest":
            return {max(self.found, key=lambda found: found.area * found.frames).number}
        if pick == "longest":
            return {max(self.found, key=lambda found: found.frames).number}
        return {self._nearest_centre()}

    def _nearest_centre(self) -> int:
        """Return the object that is the nearest to the middle of the frame, of those that stay."""
        apart: dict[int, list[float]] = {found.number: [] for found in self.found}
        for labels in self.labels:
            height, width = labels.shape
            for number in object_numbers(labels):
                y, x = (np.mean(places) for places in np.nonzero(labels == number))
                apart[number].append(float(np.hypot(x / width - 0.5, y / height - 0.5)))
        most = max(len(distances) for distances in apart.values())
        staying = {number: float(np.mean(one)) for number, one in apart.items() if len(one) >= _STAYS * most}
        return min(staying, key=staying.__getitem__)


def objects_in(labels: FrameMaps, moments: Sequence[Moment]) -> list[FoundObject]:
    """Return the objects of a video whose numbers are known in each frame, by their numbers."""
    shares: dict[int, dict[int, float]] = {}
    for position, here in enumerate(labels):
        for number in object_numbers(here):
            shares.setdefault(number, {})[position] = float(np.mean(here == number))
    found = []
    for number, its in sorted(shares.items()):
        clearest = max(its, key=lambda position: (its[position], -position))
        total = sum(its.values())
        found.append(_described(number, its, total, moments, clearest, labels[clearest] == number))
    return found


def seen_anew(
    found: FoundObject, moments: Sequence[Moment], before: FrameMaps, now: FrameMaps, positions: Iterable[int]
) -> FoundObject | None:
    """Return an object as it is where its numbers in some frames are others; None where nothing is left of it.

    Args:
        found: as it was, with what `before` has of it.
        moments: of the frames.
        before: numbers of each frame, uint8 [h, w], as they were.
        now: as they are.
        positions: of the frames in which they may be others.
    """
    places = {moment.index: position for position, moment in enumerate(moments)}
    seen = {place for first, last in found.spans for place in range(places[first], places[last] + 1)}
    total = found.area * found.frames
    changed = {}
    for position in positions:
        was, its = (float(np.mean(one[position] == found.number)) for one in (before, now))
        if was != its:
            changed[position] = its
            total += its - was
            (seen.add if its else seen.discard)(position)
    if not changed or not seen:
        return found if seen else None
    clearest = places[found.clearest]
    if clearest not in seen:
        clearest = max(seen, key=lambda position: (changed.get(position, 0), -abs(position - clearest)))
    return _described(found.number, seen, total, moments, clearest, now[clearest] == found.number)


def position_of(moments: Sequence[Moment], time: Time) -> int:
    """Return the position, among the frames that are taken, of the one that is the nearest to a time.

    Raises:
        ValueError: it is after the last frame.
    """
    places = [moment.index if time.is_index else moment.time for moment in moments]
    if time.value > places[-1] + _AFTER:
        raise ValueError(f"after the last frame, {moments[-1].index}, at {moments[-1].time:.2f} s")
    return min(range(len(places)), key=lambda position: abs(places[position] - time.value))


def grid_of(frame: Frame) -> tuple[int, int]:
    """Return the height and width of the grid on which the objects of a frame's video are followed."""
    height, width = frame.image.shape[:2]
    scale = min(_SHORT_SIDE / min(height, width), 1)
    return max(1, round(height * scale)), max(1, round(width * scale))


def enlarged(small: Labels, mask: NDArray[np.bool_]) -> Labels:
    """Give each pixel of a mask [H, W] the number of the object that is there, or about there, in `small` [h, w]."""
    height, width = mask.shape
    if not small.any():
        return np.zeros(mask.shape, np.uint8)
    away = cv2.distanceTransform((small == 0).view(np.uint8), cv2.DIST_L2, 5)
    spread = np.where(away <= _TOUCH, nearest_labels(small), 0).astype(np.uint8)
    numbers = cv2.resize(spread, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.where(mask, numbers, 0).astype(np.uint8)


def track_objects(
    results: Iterable[Segmented],
    threshold: float = VideoOptions.threshold,
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
) -> Iterator[Segmented]:
    """Tell the objects of stored results apart: yield each with its `labels`, and with some of the objects alone.

    They are linked along DIS flow between neighbouring frames, and joined over the whole video; see `ObjectTracker`
    and `isomer.segment.objects.tracklets`.

    Args:
        results: in order, every frame of a video. They are gone through twice: a list, or what begins anew whenever it
            is iterated over.
        threshold: probability in (0, 1) from which on a pixel is of an object.
        keep: the objects that are left, all by default; see `VideoOptions.keep`.
        drop: the objects that are left out.

    Raises:
        ArgumentError: there is no such object.
    """
    with Follower(threshold) as follower:
        for result, step in with_steps(results):
            follower.add(result, result.probability, step)
        objects = follower.objects()
        chosen = objects.chosen(keep, drop)
        left = (
            replace(result, probability=objects.left(position, result.probability, chosen))
            for position, result in enumerate(results)
        )
        yield from objects.labelled(left, threshold, chosen)


def _described(
    number: int,
    seen: Collection[int],
    total: float,
    moments: Sequence[Moment],
    clearest: int,
    mask: NDArray[np.bool_],
) -> FoundObject:
    """Return an object that is in sight at some positions, with `total` frames' pixels in all, and `mask` once."""
    height, width = mask.shape
    x, y, across, down = cv2.boundingRect(mask.view(np.uint8))
    return FoundObject(
        number=number,
        frames=len(seen),
        start=moments[min(seen)].time,
        end=moments[max(seen)].time,
        spans=tuple((moments[first].index, moments[last].index) for first, last in _spans(sorted(seen))),
        area=total / len(seen),
        clearest=moments[clearest].index,
        box=(x / width, y / height, across / width, down / height),
    )


def _spans(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each run of numbers without a gap."""
    for _, run in groupby(enumerate(positions), key=lambda item: item[1] - item[0]):
        places = [position for _, position in run]
        yield places[0], places[-1]


def _only(labels: Labels, chosen: Collection[int] | None) -> Labels:
    return labels if chosen is None else np.where(np.isin(labels, list(chosen)), labels, 0).astype(np.uint8)


def _counted(count: int) -> str:
    if not count:
        return "none was found"
    return "there is one, 1" if count == 1 else f"there are {count}, from 1 on"

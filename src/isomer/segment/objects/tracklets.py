"""Which tracklets of a video are the same object, decided over all of it.

A tracklet is an object for as long as nothing brings its identity into doubt, see `ObjectTracker`. Between any two
stands evidence, for or against one object: two at the same time are one if they stay near each other, as the parts of a
cyclist behind a fence do, and touch now and then or look alike; two at different times if one has the colours of the
other. Joined are, time and again, the two with the most evidence, until none is left with more for than against. What
is joined is looked at anew as a whole: pieces of two that cross may each stay near the other for their short time, but
the two do not. (Greedy edge contraction, as in Keuper et al., "Efficient decomposition of image and mesh graphs by
lifted multicuts", ICCV 2015, with evidence that is found anew in place of sums.)
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media import Labels
from isomer.media.labels import object_numbers
from isomer.segment.objects.colours import COLOURS, Colours, Shares, count_colours, shares_of

# At the same time. Distances are in units of the larger one's size, the diagonal of its bounding box.
_NEAR = 0.35  # gap up to which two rather are one, if they touch at some time
_NEARER = 0.25  # and if they never do
_TOUCH = 5  # pixels of a gap that is none
_GAP = 8.0  # evidence for each such unit that it is smaller or larger
_STEADY = 0.6  # how far the way from the middle of one to that of the other may change
_SWING = 8.0  # evidence against, for each such unit beyond, if they are apart:
_FAR = 0.15  # by a gap of more than that,
_OFTEN = 0.2  # in such a share of the frames, for less evidence in fewer; a post that passes one leaves it together
_BESIDE = (-12.0, 3.0)  # the most against and for
_SOON = 6  # frames from which on that counts in full
# At different times.
_ALIKE = 0.34  # share of the smaller one's colours, up to which the other may lack them
_LOOKS = 10.0  # evidence for it to lack none, over for it to lack all
_COPIES = 3  # times a colour's share may be larger in a part than in the whole
_ENOUGH = 0.025  # pixels, over all frames, from which on looks count in full, as a share of a frame
_APART = (-1.0, 3.0)  # the most against and for
_FOLLOWED = 2.0  # evidence for two that the tracker gave the same number

_USUALLY = 90  # percentile of frames by which sizes and gaps are judged: some are odd
_SPECK = 0.01  # pixels of an object over all frames, as a share of a frame, below which it is a part of another or none
_STRANGE = -3.0  # evidence below which it is none
_MOST = 600  # tracklets that are compared, the largest; the time for it grows with the square

_SUMS = 3  # of the columns of sights: area, and x and y of all pixels, summed
_COLUMNS = 7  # then left, top, and right and bottom as negative numbers: the least of parts is that of the whole

_T = TypeVar("_T")
_Gaps = tuple["array[int]", "array[float]"]
"""Frames that have two tracklets, and pixels between them."""


@dataclass
class Tracklet:
    """What is known of a tracklet.

    Attributes:
        number: that the tracker gave.
        frames: positions of the frames in which it has pixels, in order.
        sights: where it is in each, `_COLUMNS` numbers.
        alone: whether it shares no region with another in each.
        colours: pixels of each colour, in frames in which it shares no region with another.
        shared: the same in the other frames.
    """

    number: int
    frames: array[int] = field(default_factory=lambda: array("l"))
    sights: array[float] = field(default_factory=lambda: array("f"))
    alone: array[int] = field(default_factory=lambda: array("B"))
    colours: NDArray[np.float32] = field(default_factory=lambda: np.zeros(COLOURS, np.float32))
    shared: NDArray[np.float32] = field(default_factory=lambda: np.zeros(COLOURS, np.float32))

    @property
    def areas(self) -> list[int]:
        """Its pixels in each frame."""
        return [int(area) for area in self.sights[::_COLUMNS]]


class Tracklets:
    """The tracklets of a video, gathered frame by frame."""

    def __init__(self) -> None:
        self._found: dict[int, Tracklet] = {}
        self._gaps: defaultdict[int, dict[int, _Gaps]] = defaultdict(dict)
        self._frame = 0
        self._pixels = 1

    def __getitem__(self, tracklet: int) -> Tracklet:
        return self._found[tracklet]

    def add(self, labels: Labels, tracklets: NDArray[np.int64], alone: NDArray[np.bool_], colours: Colours) -> None:
        """Take the next frame.

        Args:
            labels: uint8 [H, W], the tracker's numbers.
            tracklets: int64 [256], the tracklet of each number.
            alone: bool [256], whether the object of a number shares no region with another.
            colours: of the frame, [H, W]; see `isomer.segment.objects.colours`.
        """
        self._pixels = labels.size
        coarse = labels[::2, ::2]
        seen = []
        for number in object_numbers(labels):
            here = labels == number
            tracklet = int(tracklets[number])
            found = self._found.setdefault(tracklet, Tracklet(number))
            found.frames.append(self._frame)
            found.sights.extend(_sight(here.view(np.uint8)))
            found.alone.append(bool(alone[number]))
            counts = found.colours if alone[number] else found.shared
            counts += count_colours(colours[here])
            if (coarse == number).any():
                seen.append((tracklet, coarse == number))
        for place, (first, here) in enumerate(seen[:-1], start=1):
            away = cv2.distanceTransform((~here).view(np.uint8), cv2.DIST_L2, 3)
            for second, there in seen[place:]:
                if second not in self._gaps[first]:
                    self._gaps[first][second] = self._gaps[second][first] = array("l"), array("f")
                frames, gaps = self._gaps[first][second]
                frames.append(self._frame)
                gaps.append(2 * float(away[there].min()))
        self._frame += 1

    def objects(self) -> list[list[int]]:
        """Return the objects, each the tracklets that are it: in the order they come, the larger first.

        Tracklets that are of none, too small to be an object, are left out.
        """
        named = sorted(self._found, key=lambda name: -sum(self._found[name].areas))
        things = [self._thing(name) for name in sorted(named[:_MOST])]
        things = joined(things, _evidence, _merged) + [self._thing(name) for name in sorted(named[_MOST:])]
        large = [list(thing.names) for thing in things if thing.total >= _SPECK]
        judges = [thing for thing in things if thing.total >= _SPECK]
        for thing in things:
            if thing.total < _SPECK and judges:
                said = [_evidence(judge, thing) for judge in judges]
                if max(said) >= _STRANGE:
                    large[int(np.argmax(said))].extend(thing.names)

        def order(names: list[int]) -> tuple[int, int]:
            first = min((self._found[one] for one in names), key=lambda found: (found.frames[0], -found.areas[0]))
            return first.frames[0], -first.areas[0]

        return sorted(large, key=order)

    def _thing(self, name: int) -> _Thing:
        found = self._found[name]
        sights = _Series(np.array(found.frames), np.array(found.sights, np.float32).reshape(-1, _COLUMNS))
        gaps = {
            other: _Series(np.array(frames), np.array(values, np.float32)[:, None])
            for other, (frames, values) in self._gaps[name].items()
        }
        total = float(sights.values[:, 0].sum()) / self._pixels
        return _Thing((name,), frozenset({found.number}), total, sights, gaps, found.colours, found.shared)


class _Series(NamedTuple):
    """Values over time: frames [N], in order, and what is there in each, float32 [N, C]."""

    frames: NDArray[np.int64]
    values: NDArray[np.float32]

    def with_other(self, other: _Series, sums: int) -> _Series:
        """Return both as one: the sum of the first columns, and the least of the others, where both are."""
        frames = np.union1d(self.frames, other.frames)
        values = np.full((len(frames), self.values.shape[1]), np.inf, np.float32)
        values[:, :sums] = 0
        for one in (self, other):
            rows = np.searchsorted(frames, one.frames)
            values[rows, :sums] += one.values[:, :sums]
            values[rows, sums:] = np.minimum(values[rows, sums:], one.values[:, sums:])
        return _Series(frames, values)

    def at(self, frames: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the values in some of its frames."""
        return self.values[np.searchsorted(self.frames, frames)]


@dataclass
class _Thing:
    """What may be one object.

    Attributes:
        names: the tracklets that it is.
        numbers: that the tracker gave it.
        total: its pixels over all frames, as a share of a frame.
        sights: where it is, `_COLUMNS` values.
        gaps: to other tracklets, by their names, in frames that have both: pixels.
        colours: pixels of each, while it was alone.
        shared: the same while it was not.
    """

    names: tuple[int, ...]
    numbers: frozenset[int]
    total: float
    sights: _Series
    gaps: dict[int, _Series]
    colours: NDArray[np.float32]
    shared: NDArray[np.float32]

    def __post_init__(self) -> None:
        self.looks: Shares = shares_of(self.colours if self.colours.any() else self.shared)
        left, top, right, bottom = self.sights.values[:, _SUMS:].T
        self.size = float(np.percentile(np.hypot(left + right, top + bottom), _USUALLY))

    def centres(self, frames: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return x and y of its middle in some of its frames."""
        area, *sums = self.sights.at(frames).T[:_SUMS]
        return np.asarray(np.stack(sums, axis=1) / area[:, None], np.float32)


def joined(things: Sequence[_T], evidence: Callable[[_T, _T], float], merged: Callable[[_T, _T], _T]) -> list[_T]:
    """Join what belongs together, greedily.

    Args:
        things: that may belong together.
        evidence: for any two, positive where they rather are one.
        merged: makes one of two.

    Returns:
        What is left, each in the place of its first part.
    """
    groups = dict(enumerate(things))
    between = np.full((len(groups), len(groups)), -np.inf)

    def compare(place: int) -> None:
        for other, thing in groups.items():
            if other != place:
                between[place, other] = between[other, place] = evidence(groups[place], thing)

    for place in groups:
        for other in range(place):
            between[place, other] = between[other, place] = evidence(groups[place], groups[other])
    while len(groups) > 1:
        first, second = sorted(int(place) for place in np.unravel_index(between.argmax(), between.shape))
        if between[first, second] <= 0:
            break
        groups[first] = merged(groups[first], groups.pop(second))
        between[second] = between[:, second] = -np.inf
        compare(first)
    return list(groups.values())


def _merged(one: _Thing, other: _Thing) -> _Thing:
    names = (*one.names, *other.names)
    gaps = {name: gap for name, gap in one.gaps.items() if name not in names}
    for name, gap in other.gaps.items():
        if name not in names:
            gaps[name] = gaps[name].with_other(gap, 0) if name in gaps else gap
    return _Thing(
        names=names,
        numbers=one.numbers | other.numbers,
        total=one.total + other.total,
        sights=one.sights.with_other(other.sights, _SUMS),
        gaps=gaps,
        colours=one.colours + other.colours,
        shared=one.shared + other.shared,
    )


def _evidence(one: _Thing, other: _Thing) -> float:
    """Return what speaks for, or against, two being one object."""
    part, whole = (one, other) if one.total < other.total else (other, one)
    lacking = 1 - float(np.minimum(part.looks, _COPIES * whole.looks).sum())
    alike = min(1, part.total / _ENOUGH) * _LOOKS * (_ALIKE - lacking)
    many, few = (one, other) if len(one.names) > len(other.names) else (other, one)
    between = [many.gaps[name] for name in few.names if name in many.gaps]
    if not between:
        return float(np.clip(alike, *_APART)) + _FOLLOWED * bool(one.numbers & other.numbers)
    gaps = reduce(lambda all_, gap: all_.with_other(gap, 0), between)
    size = max(one.size, other.size)
    ways = one.centres(gaps.frames) - other.centres(gaps.frames)
    swing = float(np.linalg.norm(np.ptp(ways, axis=0))) / size
    touch = gaps.values.min() <= _TOUCH
    apart = float(np.mean(gaps.values > max(_TOUCH, _FAR * size)))
    said = _GAP * ((_NEAR if touch else _NEARER) - np.percentile(gaps.values, _USUALLY) / size)
    said -= _SWING * max(0, swing - _STEADY) * min(1, apart / _OFTEN)
    if not touch:
        said += min(0, alike)
    return float(np.clip(said, *_BESIDE)) * min(1, (len(gaps.frames) + 2) / _SOON)


def _sight(mask: NDArray[np.uint8]) -> tuple[float, ...]:
    """Return the `_COLUMNS` numbers of a mask."""
    moments = cv2.moments(mask, binaryImage=True)
    left, top, width, height = cv2.boundingRect(mask)
    return moments["m00"], moments["m10"], moments["m01"], left, top, -(left + width), -(top + height)

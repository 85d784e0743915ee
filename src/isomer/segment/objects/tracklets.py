"""Which tracklets of a video are the same object, decided over all of it.

A tracklet is an object for as long as nothing brings its identity into doubt, see `ObjectTracker`. Between any two
stands evidence, for or against one object: two at the same time are one if they stay near each other, as the parts of a
cyclist behind a fence do, and touch now and then or look alike; two at different times if one has the colours of the
other. Joined are, time and again, the two groups of tracklets with the most evidence for each other, until none is left
with more for than against: greedy additive edge contraction (Keuper et al., "Efficient decomposition of image and mesh
graphs by lifted multicuts", ICCV 2015).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media import Labels
from isomer.media.labels import object_numbers
from isomer.segment.objects.colours import COLOURS, Colours, count_colours, shares_of

# At the same time. Distances are in units of the larger one's size, the root of its area.
_NEAR = 0.8  # gap up to which two tracklets rather are one, if they touch at some time
_NEARER = 0.3  # and if they never do
_TOUCH = 5  # pixels of a gap that is none
_GAP = 6.0  # evidence for each such unit that it is smaller or larger
_STEADY = 0.9  # how far the way from the middle of one to that of the other may change
_SWING = 4.0  # evidence against, for each such unit beyond
_BESIDE = (-12.0, 3.0)  # the most against and for
_SOON = 3  # frames from which on that counts in full
# At different times.
_ALIKE = 0.34  # share of the smaller one's colours, up to which the other may lack them
_LOOKS = 10.0  # evidence for it to lack none, over for it to lack all
_COPIES = 3  # times a colour's share may be larger in a part than in the whole
_ENOUGH = 0.025  # pixels, over all frames, from which on looks count in full, as a share of a frame
_APART = (-1.0, 3.0)  # the most against and for
_FOLLOWED = 2.0  # evidence for two that the tracker gave the same number

_SPECK = 0.01  # pixels of an object over all frames, as a share of a frame, below which it is a part of another or none
_STRANGE = -3.0  # evidence below which it is none
_MOST = 1000  # tracklets that are compared, the largest; the time for it grows with the square


@dataclass
class Tracklet:
    """What is known of a tracklet.

    Attributes:
        number: that the tracker gave.
        frames: positions of the frames in which it has pixels, in order.
        areas: its pixels in each.
        alone: whether it shares no region with another in each.
        centres: x, y of their middle.
        colours: pixels of each colour, in frames in which it shares no region with another.
        shared: the same in the other frames.
    """

    number: int
    frames: list[int] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)
    alone: list[bool] = field(default_factory=list)
    centres: list[tuple[float, float]] = field(default_factory=list)
    colours: NDArray[np.float32] = field(default_factory=lambda: np.zeros(COLOURS, np.float32))
    shared: NDArray[np.float32] = field(default_factory=lambda: np.zeros(COLOURS, np.float32))

    @property
    def size(self) -> float:
        """The root of its area where it is large."""
        return float(np.sqrt(np.percentile(self.areas, 90)))


class Tracklets:
    """The tracklets of a video, gathered frame by frame."""

    def __init__(self) -> None:
        self._found: dict[int, Tracklet] = {}
        self._gaps: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
        self._offsets: defaultdict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
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
            moments = cv2.moments(here.view(np.uint8), binaryImage=True)
            tracklet = int(tracklets[number])
            found = self._found.setdefault(tracklet, Tracklet(number))
            found.frames.append(self._frame)
            found.areas.append(int(moments["m00"]))
            found.alone.append(bool(alone[number]))
            found.centres.append((moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]))
            counts = found.colours if alone[number] else found.shared
            counts += count_colours(colours[here])
            if (coarse == number).any():
                seen.append((tracklet, found, coarse == number))
        gaps = _gaps([here for _, _, here in seen])
        for i, (first, its, _) in enumerate(seen):
            for j, (second, other, _) in enumerate(seen[:i]):
                sign = 1 if first < second else -1
                (x, y), (u, v) = its.centres[-1], other.centres[-1]
                pair = min(first, second), max(first, second)
                self._gaps[pair].append(float(gaps[i, j]))
                self._offsets[pair].append((sign * (x - u), sign * (y - v)))
        self._frame += 1

    def objects(self) -> list[list[int]]:
        """Return the objects, each the tracklets that are it: in the order they come, the larger first.

        Tracklets that are of none, too small to be an object, are left out.
        """
        totals = {tracklet: sum(found.areas) / self._pixels for tracklet, found in self._found.items()}
        compared = sorted(sorted(totals, key=lambda tracklet: -totals[tracklet])[:_MOST])
        evidence = self._evidence(compared, totals)
        groups = joined(evidence)
        groups += [[index] for index in range(len(compared), len(totals))]
        names = compared + sorted(totals.keys() - set(compared))
        objects = self._without_specks([[names[index] for index in group] for group in groups], compared, evidence)

        def order(tracklets: list[int]) -> tuple[int, int]:
            first = min((self._found[one] for one in tracklets), key=lambda found: (found.frames[0], -found.areas[0]))
            return first.frames[0], -first.areas[0]

        return sorted(objects, key=order)

    def _without_specks(
        self, objects: list[list[int]], compared: list[int], evidence: NDArray[np.float64]
    ) -> list[list[int]]:
        """Give objects that are too small to the one with the most evidence for it, unless there is much against."""
        place = {tracklet: index for index, tracklet in enumerate(compared)}
        total = [sum(sum(self._found[one].areas) for one in tracklets) for tracklets in objects]
        large = [tracklets for tracklets, area in zip(objects, total, strict=True) if area >= _SPECK * self._pixels]
        for tracklets in [list(one) for one in objects if one not in large]:
            rows = [place[one] for one in tracklets if one in place]
            said = [evidence[np.ix_(rows, [place[one] for one in other if one in place])].sum() for other in large]
            if said and max(said) >= _STRANGE:
                large[int(np.argmax(said))].extend(tracklets)
        return large

    def _evidence(self, names: list[int], totals: dict[int, float]) -> NDArray[np.float64]:
        """Return what speaks for, or against, two tracklets being one object: float64 [N, N]."""
        found = [self._found[name] for name in names]
        counts = (one.colours if one.colours.any() else one.shared for one in found)
        looks = np.array([shares_of(count) for count in counts]).reshape(-1, COLOURS)
        result = np.zeros((len(names), len(names)))
        for i, one in enumerate(found):
            for j, other in enumerate(found[:i]):
                part, whole = (i, j) if totals[names[i]] < totals[names[j]] else (j, i)
                lacking = 1 - float(np.minimum(looks[part], _COPIES * looks[whole]).sum())
                alike = min(1, totals[names[part]] / _ENOUGH) * _LOOKS * (_ALIKE - lacking)
                if (names[j], names[i]) in self._gaps:
                    said = self._beside((names[j], names[i]), max(one.size, other.size), alike)
                else:
                    said = float(np.clip(alike, *_APART)) + _FOLLOWED * (one.number == other.number)
                result[i, j] = result[j, i] = said
        return result

    def _beside(self, pair: tuple[int, int], size: float, alike: float) -> float:
        """Return what speaks for two tracklets that are seen at the same time.

        Args:
            pair: the two.
            size: of the larger one.
            alike: what their looks say.
        """
        gaps, offsets = self._gaps[pair], np.array(self._offsets[pair])
        touch = min(gaps) <= _TOUCH
        swing = float(np.linalg.norm(np.ptp(offsets, axis=0))) / size
        said = _GAP * ((_NEAR if touch else _NEARER) - np.percentile(gaps, 90) / size)
        said -= _SWING * max(0, swing - _STEADY)
        if not touch:
            said += min(0, alike)
        return float(np.clip(said, *_BESIDE)) * min(1, (len(gaps) + 2) / _SOON)


def _gaps(shapes: list[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Return the gaps between shapes, bool [h, w], in pixels of the frame, of which they have every second.

    Parts of one thing can be far apart: a gap is the widest on the way over the others that is the least wide.
    """
    gaps = np.zeros((len(shapes), len(shapes)))
    for i, here in enumerate(shapes[:-1]):
        distance = cv2.distanceTransform((~here).view(np.uint8), cv2.DIST_L2, 3)
        for j in range(i + 1, len(shapes)):
            gaps[i, j] = gaps[j, i] = 2 * distance[shapes[j]].min()
    for between in range(len(shapes)):
        gaps = np.minimum(gaps, np.maximum(gaps[:, between, None], gaps[between]))
    return gaps


def joined(evidence: NDArray[np.float64]) -> list[list[int]]:
    """Join what belongs together, greedily.

    Args:
        evidence: for any two things, float64 [N, N], symmetric: positive where they rather are one.

    Returns:
        The groups, each the numbers of its things in order.
    """
    between = evidence.copy()
    np.fill_diagonal(between, -np.inf)
    groups = {index: [index] for index in range(len(between))}
    while len(groups) > 1:
        first, second = np.unravel_index(between.argmax(), between.shape)
        if between[first, second] <= 0:
            break
        first, second = sorted((int(first), int(second)))
        between[first] += between[second]
        between[:, first] = between[first]
        between[first, first] = -np.inf
        between[second] = between[:, second] = -np.inf
        groups[first] += groups.pop(second)
    return [sorted(group) for group in groups.values()]

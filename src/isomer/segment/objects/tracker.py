"""The single map split into objects: connected in space, linked along the optical flow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from operator import itemgetter

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow import DISFlow, Flow
from isomer.flow.stream import numbered_by_shot
from isomer.media import Frame, Labels, Segmented
from isomer.media.labels import nearest_labels
from isomer.segment.objects.colours import COLOURS, Colours, colours_of, count_colours, shares_of

# Share of the smaller of a region and an object that must coincide for the object to claim the region.
_CLAIM = 0.1
# Share of an object that must be in view for its motion to be measured; else it is taken to go on.
_IN_VIEW = 0.25
# Difference, in pixels a frame, from which on the motions of two objects tell which is in front.
_DISTINCT = 1.0

# Where objects meet: what their colours and their motion say of a pixel, against 1 each for the silhouettes they had
# and for where the flow leads back to; motion says the most from so many pixels a frame on.
_LOOKS, _MOTION, _PACE = 2.0, 4.0, 4.0
# The least share of a colour, for what has not been seen of an object yet.
_RARE = 1e-3
# Pixels over which looks and motion are averaged.
_AROUND = (7, 7)

_Window = tuple[slice, slice]


class ObjectTracker:
    """Number the objects of a stream of masks, the same object by the same number in every frame.

    A region, connected over edges and corners, takes the number of the object that the flow leads back to. A
    region that leads back to none is a new object. Where it leads back to several, they have met: each keeps
    the silhouette it had, which moves on as the flow says, and where two cover each other, the flow tells
    which is in front. They part as who they were.

    Of an object in pieces all keep its number until they have been apart for longer than `patience`; then all
    but the main piece are objects of their own. An object out of sight is taken to go on as it moved, and
    forgotten after `patience`: if it comes back later it has a new number.

    Numbers go up from 1. A number is given again only when all 255 have been, and first the one that has been
    gone for the longest; of more than 255 objects at once the smallest stay 0.

    Args:
        min_share: regions of less than this share of the frame are specks, which stay 0.
        patience: frames.
    """

    def __init__(self, min_share: float = 0.0005, patience: int = 12) -> None:
        self._min_share = min_share
        self._patience = patience
        self._frame = 0
        self._last_seen = np.full(256, -1)
        self._objects: dict[int, _Object] = {}
        self._labels: Labels | None = None  # of the frame before
        self._tracklets = count(1)

    def step(self, mask: NDArray[np.uint8], flow: Flow | None, image: NDArray[np.uint8] | None = None) -> Labels:
        """Number the objects of the next frame.

        Args:
            mask: uint8 [H, W], of which all but 0 is object; the size stays the same.
            flow: from this frame to the one before, float32 [h, w, 2] in pixels of its own grid, which may be
                coarser. None starts anew: at the first frame and after a cut nothing is linked.
            image: the frame, uint8 RGB of any size; without it looks tell nothing.

        Returns:
            uint8 [H, W]: the number of the object at each pixel, 0 for none.
        """
        if self._labels is None or flow is None:
            self._objects.clear()
            self._labels = np.zeros(mask.shape, np.uint8)
            flow = np.zeros((1, 1, 2), np.float32)
        flow = _enlarged(flow, mask.shape)
        colours = np.zeros(mask.shape, np.uint16) if image is None else colours_of(image, mask.shape)
        carried = _carried(self._labels, flow)
        regions = _Regions(mask, self._min_share)
        places = self._places(regions, carried)
        labels = np.zeros(mask.shape, np.uint8)
        for region in regions.by_area:
            window, inside = regions.window(region)
            owners = [number for number, claimed in places.items() if region in claimed]
            if not owners and (number := self._new_number()):
                owners = [number]
                places[number] = [region]
            if len(owners) == 1:
                labels[window][inside] = owners[0]
            elif owners:
                meeting = {number: self._objects[number] for number in owners}
                part = _divided(meeting, window, inside, carried[window], flow[window], colours[window])
                labels[window][inside] = part[inside]
        self._split(regions, places, labels)
        self._update(regions, places, labels, carried, flow, colours)
        self._labels = labels
        self._frame += 1
        return np.array(labels)

    @property
    def tracklets(self) -> NDArray[np.int64]:
        """The tracklet of each number now: int64 [256], 0 for numbers without an object.

        A tracklet is an object for as long as nothing brings its identity into doubt: another begins where it parts
        from others that it met, and where it comes into sight again.
        """
        found = np.zeros(256, np.int64)
        for number, known in self._objects.items():
            found[number] = known.tracklet
        return found

    @property
    def alone(self) -> NDArray[np.bool_]:
        """Whether the object of a number shares no region with another now: bool [256]."""
        found = np.zeros(256, bool)
        for number, known in self._objects.items():
            found[number] = known.alone
        return found

    def _places(self, regions: _Regions, carried: Labels) -> dict[int, list[int]]:
        """Find the regions of each object, its main one first."""
        votes = regions.votes(carried)
        sizes = np.zeros(256, np.int64)
        for number, known in self._objects.items():
            sizes[number] = known.shape.sum()
            # Where hardly any of it is in view, its silhouette from before they met says where it is.
            if not known.alone and votes[:, number].sum() < _IN_VIEW * sizes[number]:
                votes[:, number] = regions.covered(known)
        claims = (votes > 0) & (votes >= _CLAIM * np.minimum(regions.areas[:, None], sizes))
        home = np.where(claims, votes, 0).argmax(axis=0)
        places: dict[int, list[int]] = {}
        for region in regions.by_area:
            owners = np.flatnonzero(claims[region])
            if len(owners) > 1:  # flow is not exact: what has its home elsewhere has only brushed this region
                settled = owners[home[owners] == region]
                owners = settled if len(settled) else owners[[votes[region, owners].argmax()]]
            for number in owners.tolist():
                places.setdefault(number, []).append(region)
        for number, claimed in places.items():
            claimed.sort(key=lambda region: votes[region, number], reverse=True)
        return places

    def _new_number(self) -> int:
        """Return a number, and 0 when there is none left."""
        free = (number for number in range(1, 256) if number not in self._objects)
        number = min(free, key=lambda number: (self._last_seen[number], number), default=0)
        if number:
            nothing = np.zeros((0, 0), bool)
            self._objects[number] = _Object(next(self._tracklets), nothing, np.zeros(2), np.zeros(2))
        return number

    def _split(self, regions: _Regions, places: dict[int, list[int]], labels: Labels) -> None:
        """Give numbers of their own to pieces that have been apart for long enough."""
        for number, claimed in sorted(places.items()):
            known = self._objects[number]
            known.apart = known.apart + 1 if len(claimed) > 1 else 0
            if known.apart > self._patience:
                known.apart = 0
                for region in claimed[1:]:
                    window, inside = regions.window(region)
                    own = self._new_number()
                    labels[window][inside & (labels[window] == number)] = own
                    if own:
                        places[own] = [region]
                places[number] = claimed[:1]

    def _update(
        self,
        regions: _Regions,
        places: dict[int, list[int]],
        labels: Labels,
        carried: Labels,
        flow: Flow,
        colours: Colours,
    ) -> None:
        crowded = {region for region in regions.by_area if sum(region in c for c in places.values()) > 1}
        for number, known in list(self._objects.items()):
            claimed = places.get(number, [])
            is_alone = bool(claimed) and not crowded & set(claimed)
            if is_alone and not known.alone:  # it has parted, or comes into sight
                known.tracklet = next(self._tracklets)
            known.alone = is_alone
            window = regions.box(claimed)
            seen = labels[window] == number
            if not known.alone:
                known.corner = known.corner + known.motion
            else:
                known.shape = seen
                known.corner = np.array((window[1].start, window[0].start), float)
                known.measure(flow[window][seen & (carried[window] == number)])
                known.colours += count_colours(colours[window][seen])
            if seen.any():
                known.unseen = 0
                self._last_seen[number] = self._frame
            else:
                known.unseen += 1
                if known.unseen > self._patience:
                    del self._objects[number]


@dataclass
class _Object:
    """What is known of an object.

    Attributes:
        tracklet: see `ObjectTracker.tracklets`.
        shape: its silhouette when it was last alone, bool [h, w].
        corner: where that was in the last frame: x, y of its top left pixel.
        motion: pixels a frame, x and y.
        colours: pixels of each colour that it had while alone.
        alone: whether no other object shared its regions.
        unseen: frames since it had a pixel.
        apart: frames for which it has been in pieces.
    """

    tracklet: int
    shape: NDArray[np.bool_]
    corner: NDArray[np.float64]
    motion: NDArray[np.float64]
    colours: NDArray[np.float32] = field(default_factory=lambda: np.zeros(COLOURS, np.float32))
    alone: bool = True
    unseen: int = 0
    apart: int = 0

    def measure(self, vectors: Flow) -> None:
        """Take the motion from the flow, towards the frame before, of the pixels in view, [N, 2]."""
        if len(vectors) and len(vectors) >= _IN_VIEW * self.shape.sum():
            self.motion = -np.median(vectors, axis=0).astype(np.float64)

    def placed(self, window: _Window) -> NDArray[np.bool_]:
        """Return the silhouette moved on by one frame, as seen in a window of the frame."""
        x, y = np.rint(self.corner + self.motion).astype(int).tolist()
        rows, columns = window
        result = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
        height, width = self.shape.shape
        top, bottom = max(y, rows.start), min(y + height, rows.stop)
        left, right = max(x, columns.start), min(x + width, columns.stop)
        if top < bottom and left < right:
            target = (
                slice(top - rows.start, bottom - rows.start),
                slice(left - columns.start, right - columns.start),
            )
            result[target] = self.shape[top - y : bottom - y, left - x : right - x]
        return result


class _Regions:
    """The connected regions of a mask that are no specks, numbered from 1.

    Attributes:
        areas: pixels of each, int64 [count + 1]; the first is not a region.
        by_area: their numbers, the largest first.
    """

    def __init__(self, mask: NDArray[np.uint8], min_share: float) -> None:
        _, self._map, self._stats, _ = cv2.connectedComponentsWithStats((mask != 0).astype(np.uint8), connectivity=8)
        self.areas = self._stats[:, cv2.CC_STAT_AREA].astype(np.int64)
        order = np.argsort(-self.areas[1:], kind="stable") + 1
        self.by_area: Sequence[int] = order[self.areas[order] >= min_share * mask.size].tolist()

    def votes(self, carried: Labels) -> NDArray[np.int64]:
        """Count the pixels of each region that come from each object: int64 [count + 1, 256]."""
        found = (self._map > 0) & (carried > 0)
        pairs = self._map[found].astype(np.int64) * 256 + carried[found]
        return np.bincount(pairs, minlength=256 * len(self.areas)).reshape(-1, 256)

    def covered(self, known: _Object) -> NDArray[np.int64]:
        """Count the pixels of each region that a silhouette covers: int64 [count + 1]."""
        whole = (slice(0, self._map.shape[0]), slice(0, self._map.shape[1]))
        found = self._map[known.placed(whole)]
        return np.bincount(found[found > 0], minlength=len(self.areas))

    def window(self, region: int) -> tuple[_Window, NDArray[np.bool_]]:
        """Return a region's bounding box and which of its pixels are the region's."""
        window = self.box([region])
        return window, self._map[window] == region

    def box(self, regions: Sequence[int]) -> _Window:
        """Return the bounding box of several regions, empty for none."""
        if not regions:
            return slice(0, 0), slice(0, 0)
        x, y, width, height = self._stats[regions, : cv2.CC_STAT_AREA].T
        return (
            slice(int(y.min()), int((y + height).max())),
            slice(int(x.min()), int((x + width).max())),
        )


class StepFlow:
    """Flow from each frame of a video to the one just before it, along which objects are followed.

    It is less fine than what the network sees, takes half the time, and objects keep their numbers as well.
    """

    def __init__(self) -> None:
        self._dis = DISFlow(refinements=0, stride=4)
        self._before: NDArray[np.uint8] | None = None

    def __call__(self, frame: Frame, opens_shot: bool) -> Flow | None:
        """Take the next frame and return its flow, see `FlowEstimator`; None where a shot opens."""
        before, self._before = self._before, self._dis.shrunk_gray(frame.image)
        return None if before is None or opens_shot else self._dis.match(self._before, before)


def number_objects(results: Iterable[tuple[Segmented, Flow | None]], threshold: float) -> Iterator[Segmented]:
    """Tell the objects of a stream apart: yield each result with its `labels`, as soon as it comes.

    Args:
        results: in order, each with the flow to the frame before; None where a shot opens.
        threshold: probability in (0, 1) from which on a pixel is of an object.
    """
    tracker = ObjectTracker()
    for result, step in results:
        labels = tracker.step(result.mask(threshold).view(np.uint8), step, result.image)
        yield replace(result, labels=labels)


def with_steps(results: Iterable[Segmented]) -> Iterator[tuple[Segmented, Flow | None]]:
    """Yield each of the frames of a video with the DIS flow to the one before; None where a shot opens."""
    step = StepFlow()
    for _, shot in groupby(numbered_by_shot(results), key=itemgetter(0)):
        for number, (*_, result) in enumerate(shot):
            yield result, step(result, opens_shot=number == 0)


def _enlarged(flow: Flow, shape: tuple[int, ...]) -> Flow:
    """Bring a flow to the frame's size and its pixels."""
    height, width = shape
    scale = np.array((width / flow.shape[1], height / flow.shape[0]), np.float32)
    if (scale == 1).all():
        return flow
    return np.asarray(cv2.resize(flow, (width, height)) * scale, np.float32)


def _carried(labels: Labels, flow: Flow) -> Labels:
    """Find the object, one frame ago, of what is now at each pixel."""
    height, width = labels.shape
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return np.asarray(cv2.remap(labels, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT), np.uint8)


def _divided(
    meeting: dict[int, _Object],
    window: _Window,
    inside: NDArray[np.bool_],
    carried: Labels,
    flow: Flow,
    colours: Colours,
) -> Labels:
    """Divide a region, `inside` its window, among the objects that meet in it: uint8 [h, w].

    For an object speaks at a pixel that its silhouette is the nearest, that the flow leads back to it, that the pixel
    moves as it does, and that it has the colours that are around.
    """
    seeds = np.zeros(inside.shape, np.uint8)
    for number, known in meeting.items():
        known.measure(flow[inside & (carried == number)])
        silhouette = known.placed(window) & inside
        for other in np.unique(seeds[silhouette]).tolist():
            both = silhouette & (seeds == other)
            if other == 0 or _in_front(number, other, meeting, carried[both], flow[both]):
                seeds[both] = number
    expected = nearest_labels(seeds) if seeds.any() else np.full(inside.shape, next(iter(meeting)), np.uint8)
    counted = np.maximum(cv2.blur(inside.astype(np.float32), _AROUND), _RARE)
    evidence = []
    for number, known in meeting.items():
        looks = np.log(shares_of(known.colours) + _RARE)[colours]
        apart = np.linalg.norm(flow + known.motion.astype(np.float32), axis=-1)
        seen = np.where(inside, _LOOKS * looks - _MOTION * np.minimum(apart / _PACE, 1), 0)
        position = (expected == number).astype(np.float32) + (carried == number)
        evidence.append(cv2.blur(seen, _AROUND) / counted + position)
    return np.asarray(np.array(list(meeting), np.uint8)[np.argmax(evidence, axis=0)], np.uint8)


def _in_front(number: int, other: int, meeting: dict[int, _Object], carried: Labels, flow: Flow) -> bool:
    """Tell whether an object hides another where both would be: `carried` [N] and `flow` [N, 2] there."""
    motion, other_motion = meeting[number].motion, meeting[other].motion
    if np.linalg.norm(motion - other_motion) < _DISTINCT:
        return bool((carried == number).sum() > (carried == other).sum())
    seen = -np.median(flow, axis=0)
    return bool(np.linalg.norm(seen - motion) < np.linalg.norm(seen - other_motion))

"""What a person says of a frame, and how it overrides what was found there and in the frames around.

In its own frame, what is said is brought together with the map and the colours by GrabCut (Rother et al., SIGGRAPH
2004). What that changes is carried from frame to frame along the optical flow, in both directions: for less, the
farther away in time, and only as long as the frames look alike along it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow.stream import numbered_by_shot
from isomer.media import Frame, Labels
from isomer.media.resize import resize_image
from isomer.media.rle import decode_rle
from isomer.segment.links import KeyFrameLinks
from isomer.segment.objects.video_objects import FoundObject, FrameMaps, VideoObjects, grid_of, seen_anew
from isomer.segment.warp import moved, resize_map

_FADES = 12.0  # frames after which a correction counts for 1/e of what it does in its own
_ENDS = 0.1  # of that, below which it is over
_SPOT = 0.02  # radius of what a point says, as a share of the grid's short side
_STEP = 10  # levels of a colour from a pixel to the next, up to which a point speaks for both
_ROUNDS = 3  # of GrabCut
_AROUND = np.ones((5, 5), np.uint8)  # what else of the map a change takes along
_REACH = math.ceil(_FADES * math.log(1 / _ENDS))
_LINKS = KeyFrameLinks(size=320)  # finer ones take longer than who corrects should wait
_LEAST = 8  # pixels of object and of background that GrabCut needs to know colours


@dataclass(frozen=True)
class Correction:
    """What a person says of one frame.

    Attributes:
        frame: its index.
        add: points x, y that are of the object, as shares of the frame.
        remove: points that are not.
        box: x, y, width and height, as shares of the frame, beyond which the object does not reach; None for no box.
        mask: the object itself, as COCO has run lengths: {"size": [h, w], "counts": ...}; None for no mask.
        number: the object that is meant; None for the one that is nearest.
    """

    frame: int
    add: tuple[tuple[float, float], ...] = ()
    remove: tuple[tuple[float, float], ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: dict[str, Any] | None = None
    number: int | None = None

    @classmethod
    def of(cls, said: dict[str, Any]) -> Correction:
        """Make one of JSON.

        Raises:
            KeyError, TypeError, ValueError: it is none; the message says why.
        """
        box, mask, number = said.get("box"), said.get("mask"), said.get("number")
        if mask is not None:
            decode_rle(mask["size"], mask["counts"])
        made = cls(
            frame=int(said["frame"]),
            add=tuple((float(x), float(y)) for x, y in said.get("add", ())),
            remove=tuple((float(x), float(y)) for x, y in said.get("remove", ())),
            box=None if box is None else _box(*map(float, box)),
            mask=mask,
            number=None if number is None else int(number),
        )
        if any(not 0 <= place <= 1 for point in (*made.add, *made.remove, made.box or ()) for place in np.ravel(point)):
            raise ValueError("a correction outside the frame; points and boxes are shares of it, between 0 and 1")
        if number is not None and not 1 <= int(number) <= 255:
            raise ValueError("a correction of no object; numbers are between 1 and 255")
        return made


def corrected(
    frames: Iterable[Frame],
    maps: FrameMaps,
    objects: VideoObjects,
    corrections: Sequence[Correction],
    threshold: float,
) -> tuple[ChangedMaps, VideoObjects]:
    """Apply corrections, in their order.

    Args:
        frames: of the video, in order; those `around` the corrections will do.
        maps: as they were found, 255 times the probability, uint8 [h, w], one a frame.
        objects: as they were found.
        corrections: what a person said.
        threshold: probability in (0, 1) from which on a pixel is of an object.

    Returns:
        The maps and the objects, with what the corrections have changed; the labels of these are `ChangedMaps`, too.
    """
    places = {moment.index: position for position, moment in enumerate(objects.moments)}
    meant = [(places[one.frame], one) for one in corrections if one.frame in places]
    needed = around((position for position, _ in meant), len(objects.moments))
    scenes = {places[index]: scene for index, scene in _scenes(frames, {objects.moments[one].index for one in needed})}
    changed, labels = ChangedMaps(maps), ChangedMaps(objects.labels)
    found = {one.number: one for one in objects.found}
    for position, correction in meant:
        scene = scenes[position]
        known = VideoObjects(list(found.values()), objects.moments, labels)
        number = _number(correction, known, position)
        if number not in found:
            found[number] = _new(number, correction, known, position)
        own = resize_map(changed[position] / np.float32(255), *scene.image.shape[:2])
        target = _target(correction, own, scene.image, labels[position], number)
        weight = cv2.dilate((target != (own >= threshold)).view(np.uint8), _AROUND).astype(np.float32)
        for place, its_target, its_weight in _carried(scenes, position, target.astype(np.float32), weight):
            before = changed[place].astype(np.float32)
            share, value = (resize_map(one, *before.shape) for one in (its_weight, its_target))
            changed[place] = np.rint(before + share * (255 * value - before)).astype(np.uint8)
            share, value = (resize_map(one, *labels[place].shape) for one in (its_weight, its_target))
            labels[place] = np.where(share > 0.5, np.where(value > 0.5, number, 0), labels[place]).astype(np.uint8)
    now = (seen_anew(one, objects.moments, objects.labels, labels, sorted(labels.others)) for one in found.values())
    return changed, VideoObjects([one for one in now if one is not None], objects.moments, labels)


def around(positions: Iterable[int], count: int) -> list[int]:
    """Return the positions, of `count`, of the frames that corrections of these may reach."""
    reached = {place for position in positions for place in range(position - _REACH, position + _REACH + 1)}
    return sorted(reached & set(range(count)))


class ChangedMaps:
    """Maps of the frames of a video, some of them others than they were.

    Args:
        maps: as they were; where these are changed ones, what they have changed is copied.
        others: what is changed, by position.

    Attributes:
        others: what is changed, by position.
    """

    def __init__(self, maps: FrameMaps, others: Mapping[int, NDArray[np.uint8]] | None = None) -> None:
        self.others: dict[int, NDArray[np.uint8]] = dict(others or {})
        if isinstance(maps, ChangedMaps):
            self.others = maps.others | self.others
            maps = maps._maps
        self._maps: FrameMaps = maps

    def __len__(self) -> int:
        return len(self._maps)

    def __getitem__(self, position: int, /) -> NDArray[np.uint8]:
        return self.others[position] if position in self.others else self._maps[position]

    def __setitem__(self, position: int, values: NDArray[np.uint8]) -> None:
        self.others[position] = values

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self[position] for position in range(len(self)))


@dataclass(frozen=True)
class _Scene:
    """A frame on the grid.

    Attributes:
        image: uint8 RGB [h, w, 3].
        gray: what is matched.
        opens_shot: whether there is no frame before it in its shot.
    """

    image: NDArray[np.uint8]
    gray: NDArray[np.uint8]
    opens_shot: bool


def _scenes(frames: Iterable[Frame], needed: Collection[int]) -> Iterator[tuple[int, _Scene]]:
    """Yield the frames of the needed indices, with these."""
    shot_before = -1
    for shot, _, frame in numbered_by_shot(frames):
        if frame.index in needed:
            height, width = grid_of(frame)
            image = resize_image(frame.image, (width, height))
            yield frame.index, _Scene(image, _LINKS.gray(frame), shot != shot_before)
        shot_before = shot


def _number(correction: Correction, objects: VideoObjects, position: int) -> int:
    """Return the number of the object that is meant; a new one where none is near."""
    if correction.number is not None:
        return correction.number
    free = max((one.number for one in objects.found), default=0) + 1
    for x, y in (*correction.add, *correction.remove):
        if number := objects.at(position, x, y):
            return number
    labels = objects.labels[position]
    height, width = labels.shape
    here = np.zeros((height, width), bool)
    if correction.box is not None:
        here |= _inside(correction.box, here.shape)
    if correction.mask is not None:
        here |= cv2.resize(decode_rle(**correction.mask), (width, height), interpolation=cv2.INTER_AREA) > 0
    counts = np.bincount(labels[here], minlength=1)
    counts[0] = 0
    return int(counts.argmax()) if counts.any() else min(free, 255)


def _new(number: int, correction: Correction, objects: VideoObjects, position: int) -> FoundObject:
    """Return an object that a person alone has seen; how large it is remains to be found."""
    moment = objects.moments[position]
    return FoundObject(
        number=number,
        frames=1,
        start=moment.time,
        end=moment.time,
        spans=((moment.index, moment.index),),
        area=0.0,
        clearest=moment.index,
        box=correction.box or (0.0, 0.0, 1.0, 1.0),
    )


def _target(
    correction: Correction, own: NDArray[np.float32], image: NDArray[np.uint8], labels: Labels, number: int
) -> NDArray[np.bool_]:
    """Return what is of any object in the frame itself, with the correction: bool [h, w] of the image's size."""
    height, width = own.shape
    mine = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST) == number
    if correction.mask is not None:
        painted = cv2.resize(decode_rle(**correction.mask) * 255, (width, height), interpolation=cv2.INTER_AREA) >= 128
        return np.asarray(painted | ((own >= 0.5) & ~mine), bool)
    said = np.where(own >= 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    if correction.box is not None:
        inside = _inside(correction.box, own.shape)
        said[~inside & mine] = cv2.GC_BGD
        if not (mine & inside).any():
            said[inside] = cv2.GC_PR_FGD
    radius = max(1, round(_SPOT * min(height, width)))
    for points, value, where in (
        (correction.add, cv2.GC_FGD, own < 0.5),
        (correction.remove, cv2.GC_BGD, own >= 0.5),
    ):
        for x, y in points:
            place = min(int(x * width), width - 1), min(int(y * height), height - 1)
            said[_even(image, place, where)] = value
            cv2.circle(said, place, radius, value, -1)
    is_object = (said == cv2.GC_FGD) | (said == cv2.GC_PR_FGD)
    if min(is_object.sum(), (~is_object).sum()) >= _LEAST:
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)  # GrabCut begins with clusters at random
        said = np.asarray(cv2.grabCut(image, said, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)[0], np.uint8)  # type: ignore[call-overload]
        is_object = (said == cv2.GC_FGD) | (said == cv2.GC_PR_FGD)
    other = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return np.where(other & ~mine, own >= 0.5, _near(is_object, own >= 0.5, mine, correction))


def _even(image: NDArray[np.uint8], place: tuple[int, int], where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is around a point, x and y, without a step of colour or an end of `where` between: bool [h, w]."""
    filled = np.pad(~where, 1, constant_values=True).view(np.uint8)
    if where[place[1], place[0]]:
        flags = 4 | cv2.FLOODFILL_MASK_ONLY | 2 << 8
        cv2.floodFill(image.copy(), filled, place, (0, 0, 0), (_STEP,) * 3, (_STEP,) * 3, flags)
    return np.asarray(filled[1:-1, 1:-1] == 2, bool)


def _near(
    target: NDArray[np.bool_], own: NDArray[np.bool_], mine: NDArray[np.bool_], correction: Correction
) -> NDArray[np.bool_]:
    """Take of a change only the parts that a point, or a box of what is `mine`, has to do with: colours recur."""
    _, parts = cv2.connectedComponents((target != own).view(np.uint8), connectivity=8)
    height, width = own.shape
    radius = 2 * max(1, round(_SPOT * min(height, width)))
    about = np.zeros((height, width), np.uint8)
    for x, y in (*correction.add, *correction.remove):
        cv2.circle(about, (round(x * width), round(y * height)), radius, 1, -1)
    if correction.box is not None:
        about[mine | _inside(correction.box, own.shape)] = 1
    meant = np.unique(parts[(about > 0) & (parts > 0)])
    return np.where(np.isin(parts, meant) & (parts > 0), target, own)


def _inside(box: tuple[float, float, float, float], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Draw a box, as shares of the frame: bool [h, w]."""
    (height, width), (x, y, across, down) = shape, box
    inside = np.zeros((height, width), bool)
    inside[round(y * height) : round((y + down) * height), round(x * width) : round((x + across) * width)] = True
    return inside


def _carried(
    scenes: Mapping[int, _Scene], position: int, target: NDArray[np.float32], weight: NDArray[np.float32]
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
    """Yield the frames that a correction reaches: their position, what is said of them, and for how much it counts."""
    yield position, target, weight
    fade = np.float32(np.exp(-1 / _FADES))
    for step in (1, -1):
        shape = scenes[position].gray.shape
        there, its = (resize_map(one, *shape) for one in (target, weight))
        place = position
        while place + step in scenes and its.max() >= _ENDS:
            if scenes[max(place, place + step)].opens_shot:
                break
            link = _LINKS.link(scenes[place + step].gray, scenes[place].gray)
            there, its = moved(there, link.flow), fade * link.trust * moved(its, link.flow)
            place += step
            yield place, there, its


def _box(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    if not (width > 0 and height > 0 and x + width <= 1 and y + height <= 1):
        raise ValueError("a box outside the frame; x, y, width and height are shares of it")
    return x, y, width, height

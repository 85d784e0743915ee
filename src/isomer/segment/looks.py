"""What a video tells about its object: what looks like no object of the rest of the video is taken out of the maps.

Ridge regression learns, from what was found at other times, what the object and what all else look like. It judges
connected parts of the maps by their mean features, and by those of the same part in other frames: somebody who walks
through the picture is like nothing that is the object at other times.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.flow import Flow
from isomer.segment.warp import moved, resize_map

Probability = NDArray[np.float32]

_FRAMES = 512  # the most that are learnt from, evenly spaced
_CELLS = 64  # of the object, and of the rest, that are learnt from in a frame
_FEW = 30  # a frame with fewer of them counts for less
_SURE = 0.8  # probability from which on a cell is learnt as the object, and its opposite as the rest
_BLOCK = 5  # key frames in a row that are judged by the same regression
_APART = 10  # key frames between what is judged and what is learnt from, which would err alike; at most a fifth of all
_RIDGE = 0.3  # of features of variance 1
_LIKE_THE_REST = -0.15  # below it a part is taken out; the rest is learnt as -1, the object as 1
_LARGE = 0.1  # of all that is found in a frame; smaller parts, mostly limbs, are not judged
_SAME = 0.3  # intersection over union with a part of the key frame before from which on it is the same
_LEFT = 0.1  # share of their probability that parts keep which are taken out
_AROUND = np.ones((9, 9), np.uint8)  # a part's soft border goes with it

_Cells = NDArray[np.float32]  # [N, C + 1]: features, then 1


class _Sample(NamedTuple):
    object: _Cells
    rest: _Cells


class _Moments(NamedTuple):
    """Weighted sums over cells of one kind: of products, of features, of weights."""

    products: NDArray[np.float64]
    features: NDArray[np.float64]
    weight: float

    def less(self, few: _Moments) -> _Moments:
        """Return those of all cells but a few."""
        return _Moments(self.products - few.products, self.features - few.features, self.weight - few.weight)


class _Parts(NamedTuple):
    """The large parts of a key frame."""

    labelled: int  # labels there are, that of the background among them
    labels: NDArray[np.intp]
    tracks: list[int]
    means: _Cells


class Looks:
    """Learns from the key frames of a video, and judges their parts after the last one."""

    def __init__(self) -> None:
        self._parts: list[_Parts] = []
        self._tracks = 0
        self._masks: list[Probability] = []  # of the large parts of the key frame before
        self._samples: dict[int, _Sample] = {}
        self._step = 1

    def add(self, probability: Probability, features: NDArray[np.float32], back: Flow | None) -> None:
        """Take in the next key frame.

        Args:
            probability: its map, float32 [h, w] in [0, 1].
            features: what it looks like, float32 [H, W, C], on a coarser grid.
            back: the flow to the key frame before in its shot, if there is one.
        """
        rows, columns, channels = features.shape
        cells = np.concatenate([features, np.ones((rows, columns, 1), np.float32)], 2).reshape(-1, channels + 1)
        count, labels = _labels(probability)
        areas = np.bincount(labels.ravel(), minlength=count)[1:]
        large = np.flatnonzero(areas > _LARGE * areas.sum()) + 1
        masks = [(labels == label).astype(np.float32) for label in large]
        tracks = self._tracked(masks, back)
        shares = np.array([_shrunk(mask, rows, columns) for mask in masks], np.float32).reshape(-1, rows * columns)
        number = len(self._parts)
        self._parts.append(_Parts(count, large, tracks, shares @ cells / shares.sum(1, keepdims=True)))
        self._masks = masks
        if number % self._step:
            return
        sure = _shrunk(probability, rows, columns)
        self._samples[number] = _Sample(_some(cells[sure > _SURE]), _some(cells[sure < 1 - _SURE]))
        if len(self._samples) > _FRAMES:
            self._step *= 2
            self._samples = {n: sample for n, sample in self._samples.items() if n % self._step == 0}

    def verdicts(self) -> Iterator[NDArray[np.bool_]]:
        """Yield for each key frame which parts of its map are to be taken out, by their labels: see `without`."""
        scores = list(self._scores())
        total, length = np.zeros(self._tracks), np.zeros(self._tracks)
        for parts, score in zip(self._parts, scores, strict=True):
            total[parts.tracks] += score
            length[parts.tracks] += 1
        for parts, score in zip(self._parts, scores, strict=True):
            like_the_rest = np.maximum(score, total[parts.tracks] / length[parts.tracks]) < _LIKE_THE_REST
            # Where nothing large is left, what is small belonged to it.
            taken_out = np.full(parts.labelled, len(score) > 0 and like_the_rest.all())
            taken_out[parts.labels] = like_the_rest
            taken_out[0] = False
            yield taken_out

    def _tracked(self, masks: list[Probability], back: Flow | None) -> list[int]:
        """Number parts: as those of the key frame before that they overlap most, or anew."""
        tracks = [-1] * len(masks)
        if back is not None and self._masks:
            shape = back.shape[:2]
            before = [moved(resize_map(mask, *shape), back) > 0.5 for mask in self._masks]
            now = [resize_map(mask, *shape) > 0.5 for mask in masks]
            overlaps = [
                ((one & other).sum() / max((one | other).sum(), 1), track, part)
                for one, track in zip(before, self._parts[-1].tracks, strict=True)
                for part, other in enumerate(now)
            ]
            for overlap, track, part in sorted(overlaps, reverse=True):
                if overlap > _SAME and tracks[part] < 0 and track not in tracks:
                    tracks[part] = track
        for part, track in enumerate(tracks):
            if track < 0:
                tracks[part] = self._tracks
                self._tracks += 1
        return tracks

    def _scores(self) -> Iterator[NDArray[np.float64]]:
        """Yield for each key frame how much its large parts look like the object: 1 as it does, -1 as the rest does."""
        regression = _Regression(self._samples.values())
        apart = min(_APART, len(self._parts) // 5)
        for start in range(0, len(self._parts), _BLOCK):
            near = range(start - apart, start + _BLOCK + apart)
            weights = regression.without([self._samples[number] for number in near if number in self._samples])
            yield from (parts.means @ weights for parts in self._parts[start : start + _BLOCK])


class _Regression:
    """Ridge regression on all samples but a few: their moments are taken from those of all."""

    def __init__(self, samples: Collection[_Sample]) -> None:
        every = [cells for sample in samples for cells in sample]  # never joined: that is as much memory again
        count = sum(map(len, every))
        self._mean = np.sum([cells.sum(0, dtype=float) for cells in every], 0) / count
        squares = np.sum([np.square(cells - self._mean).sum(0) for cells in every], 0)
        self._scale = np.sqrt(squares / count) + 1e-6
        self._mean[-1], self._scale[-1] = 0, 1
        self._all = self._moments(samples)

    def without(self, few: Collection[_Sample]) -> NDArray[np.float64]:
        """Return the weights of features as they are given, [C + 1]; zeros where an object, or a rest, is not left.

        Object and rest weigh alike, whatever their sizes.
        """
        thing, rest = (every.less(some) for every, some in zip(self._all, self._moments(few), strict=True))
        if min(thing.weight, rest.weight) < 0.5:
            return np.zeros(len(self._mean))
        products = thing.products / thing.weight + rest.products / rest.weight
        ridge = np.full(len(self._mean), 2 * _RIDGE)
        ridge[-1] = 0
        target = thing.features / thing.weight - rest.features / rest.weight
        weights: NDArray[np.float64] = np.linalg.solve(products + np.diag(ridge), target) / self._scale
        weights[-1] -= weights @ self._mean
        return weights

    def _moments(self, samples: Collection[_Sample]) -> tuple[_Moments, _Moments]:
        thing, rest = (self._moments_of(cells) for cells in ([s.object for s in samples], [s.rest for s in samples]))
        return thing, rest

    def _moments_of(self, frames: Collection[_Cells]) -> _Moments:
        size = len(self._mean)
        products, features, total = np.zeros((size, size)), np.zeros(size), 0.0
        for cells in frames:
            if len(cells):
                scaled = (cells - self._mean) / self._scale
                weight = min(len(cells) / _FEW, 1.0)
                products += scaled.T @ scaled * (weight / len(cells))
                features += scaled.mean(0) * weight
                total += weight
        return _Moments(products, features, total)


def without(probability: Probability, taken_out: NDArray[np.bool_]) -> Probability:
    """Return a map of which hardly anything is left of some parts.

    Args:
        probability: float32 [h, w] in [0, 1].
        taken_out: a part each, by the labels that OpenCV gives to the connected parts from 0.5 on; 0 is the background.
    """
    if not taken_out.any():
        return probability
    labels = _labels(probability)[1]
    out = cv2.dilate(taken_out[labels].astype(np.uint8), _AROUND) > 0
    kept = (labels > 0) & ~taken_out[labels]
    return np.where(out & ~kept, probability * np.float32(_LEFT), probability).astype(np.float32, copy=False)


def _labels(probability: Probability) -> tuple[int, NDArray[np.int32]]:
    count, labels = cv2.connectedComponents((probability >= 0.5).astype(np.uint8))
    return count, np.asarray(labels, np.int32)


def _shrunk(values: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA), np.float32).ravel()


def _some(cells: _Cells) -> _Cells:
    """Copy up to `_CELLS` of them, evenly spaced."""
    return np.take(cells, np.linspace(0, len(cells) - 1, min(_CELLS, len(cells))).astype(int), axis=0)

"""Maps of key frames averaged with those of their neighbours, along the optical flow.

The network errs anew in each frame; what it finds three times is more often right, and flickers less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from isomer.segment.links import Link, Span
from isomer.segment.warp import moved, resize_map

Probability = NDArray[np.float32]


class Key(Protocol):
    """A key frame, with its span to the one before in its shot, if there is one."""

    @property
    def span(self) -> Span | None:
        """The span, None where a shot opens."""


_Key = TypeVar("_Key", bound=Key)


def smooth(keys: Iterable[tuple[_Key, Probability]], weight: float) -> Iterator[tuple[_Key, Probability]]:
    """Yield key frames, each with the mean of its map and those of the key frames before and after in its shot.

    Args:
        keys: in order, each with its map, float32 [h, w] in [0, 1].
        weight: of a neighbour's map where it is fully trusted; that of the own map is 1.
    """
    before: Probability | None = None
    present: tuple[_Key, Probability] | None = None
    for following in chain(keys, (None,)):
        if present is not None:
            key, probability = present
            seen: list[tuple[Link, Probability]] = []
            if key.span and before is not None:
                seen.append((key.span.back, before))
            if following and following[0].span:
                seen.append((following[0].span.forth, following[1]))
            yield key, _mean(probability, seen, weight)
            before = probability
            del key  # whose frames fill the memory where they are large
        present = following


def _mean(own: Probability, seen: list[tuple[Link, Probability]], weight: float) -> Probability:
    # The neighbours' share is gathered at the resolution of the flow: as good, and a third cheaper.
    if not seen:
        return own
    shape = seen[0][0].trust.shape
    total, weights = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for link, other in seen:
        trusted = np.float32(weight) * link.trust
        total += trusted * moved(resize_map(other, *shape), link.flow)
        weights += trusted
    return (own + resize_map(total, *own.shape)) / (1 + resize_map(weights, *own.shape))

"""The two passes over a video whose objects are told apart: one finds maps and objects, the other writes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from isomer.media import Frame, Segmented, Writer
from isomer.options import VideoOptions
from isomer.segment.edges.stream import with_edges
from isomer.segment.objects.tracker import with_steps
from isomer.segment.objects.video_objects import Follower, VideoObjects
from isomer.segment.prefetch import prefetch
from isomer.segment.segmenter import Found, Segmenter, shown
from isomer.segment.spool import Spool, as_levels, from_levels


def follow_objects(
    segmenter: Segmenter,
    frames: Iterable[Frame],
    maps: Spool[np.uint8],
    follower: Follower,
    done: Callable[[], object] = lambda: None,
) -> None:
    """Find the maps of a video, and follow its objects.

    Args:
        segmenter: finds the maps.
        frames: of the video.
        maps: get 255 times the probability, uint8 [h, w], one a frame.
        follower: of its objects.
        done: is called after each frame.
    """
    with closing(segmenter.find(frames)) as results:
        for found in results:
            levels = as_levels(found.probability)
            maps.append(levels)
            follower.add(found.frame, from_levels(levels), found.step)
            done()


def write_objects(
    frames: Iterable[Frame],
    maps: Iterable[NDArray[np.uint8]],
    objects: VideoObjects | None,
    writers: Collection[Writer],
    options: VideoOptions,
) -> int:
    """Give the frames of a video whose maps are known to every writer.

    Args:
        frames: of the video, those in which the objects were followed.
        maps: 255 times the probability, uint8 [h, w] of any size, one a frame.
        objects: of the video; None where none need be told apart.
        writers: of its outputs; they stay open.
        options: which objects are left, what is of them, and what edges they have.

    Returns:
        The number of frames.

    Raises:
        ArgumentError: there is no such object.
    """
    chosen = objects.chosen(options.keep, options.drop) if objects else None

    def again() -> Iterator[Found]:
        for position, (frame, levels) in enumerate(zip(frames, maps, strict=True)):
            probability = from_levels(levels)
            yield Found(frame, objects.left(position, probability, chosen) if objects else probability, None)

    count, highest = 0, 0.0
    enlarged = shown(again())
    if options.edges == "matte":
        enlarged = with_steps(result for result, _ in enlarged)
    results: Iterator[Segmented] = (result for result, _ in with_edges(enlarged, options.edges))
    if objects:
        results = objects.labelled(results, options.threshold, chosen)
    with closing(prefetch(results, options.ahead)) as finished:
        for result in finished:
            for writer in writers:
                writer.write(result if options.objects else replace(result, labels=None))
            count += 1
            highest = max(highest, float(result.probability.max()))
    if objects and objects.found and chosen is not None and not chosen:
        warnings.warn("keep and drop leave no object", stacklevel=2)
    elif highest < options.threshold:
        warn_of_nothing()
    return count


def warn_of_nothing() -> None:
    """Warn that all masks of a video are empty."""
    warnings.warn("nothing was found in any frame; a lower threshold may find more", stacklevel=3)

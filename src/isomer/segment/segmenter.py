"""Frames in, results out, as a stream."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from operator import itemgetter
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.flow import Flow, FlowEstimator, MovingFrame, create_flow, flow_to_image, moving_frames
from isomer.machine import usable_cores
from isomer.media import Frame, Segmented
from isomer.media.resize import network_size, resize_image
from isomer.options import Options, VideoOptions, documented, options_of
from isomer.runtime import create_backend
from isomer.segment.door import as_frames, chained
from isomer.segment.edges.stream import with_edges
from isomer.segment.features import create_features
from isomer.segment.interpolation import interpolate
from isomer.segment.links import KeyFrameLinks, Span
from isomer.segment.looks import Looks, without
from isomer.segment.objects.tracker import StepFlow, number_objects
from isomer.segment.prefetch import prefetch
from isomer.segment.smoothing import smooth
from isomer.segment.spool import Spool, as_levels, from_levels
from isomer.segment.warp import resize_map

if TYPE_CHECKING:
    from isomer.model.network import Isomer  # importing PyTorch takes longer than OpenVINO's first mask

Probability = NDArray[np.float32]

_T = TypeVar("_T")

_LARGE = 3 * 2**22  # bytes of an image from which on none but reading works ahead: what waits would fill the memory

_process: int | None = None  # the number of the one that made the first segmenter


class Views(NamedTuple):
    """What the network sees of a frame, view by view: uint8 [V, h, w, 3], those of odd number mirrored."""

    images: NDArray[np.uint8]
    flows: NDArray[np.uint8]


class _Seen(NamedTuple):
    frame: Frame
    is_key: bool
    opens_shot: bool
    views: Views | None  # of a key frame that the network is to see


class _Key(NamedTuple):
    frame: Frame
    views: Views | None  # None where the map is known
    span: Span | None  # from the key frame before of the shot, if there is one
    steps: list[Flow | None]  # see `Found.step`: of the frames between, and its own


class _FirstPass(NamedTuple):
    roles: list[tuple[bool, bool]]  # of every frame: `is_key`, `opens_shot`
    maps: Spool[np.uint8]
    looks: Looks


class Found(NamedTuple):
    """What was found in a frame.

    Attributes:
        frame: the frame.
        probability: float32 [h, w] in [0, 1], at the network's size or smaller.
        step: flow to the frame before; None where a shot opens, or nobody has asked for it.
    """

    frame: Frame
    probability: Probability
    step: Flow | None


@documented(Options)
class Segmenter:
    """Find the primary object of a video in every frame, of one video at a time.

    Streams of several threads take turns. A fork of a process that has made a segmenter cannot have one.

    Args:
        options: see `isomer.options.Options`, a keyword each.

    Raises:
        InputError: no such model or device, an option out of its range, or a fork of a process with a segmenter.
    """

    def __init__(
        self,
        model: str | Path | Isomer | None = Options.model,
        *,
        quality: str = Options.quality,
        size: int | None = Options.size,
        backend: str = Options.backend,
        device: str = Options.device,
        flow: str | FlowEstimator | None = Options.flow,
        max_step: int = Options.max_step,
        key_interval: int | None = Options.key_interval,
        views: int | None = Options.views,
        smoothing: float | None = Options.smoothing,
        passes: int | None = Options.passes,
        precision: str | None = Options.precision,
        edges: str = Options.edges,
        batch: int = Options.batch,
        ahead: int = Options.ahead,
    ):
        options = Options(
            quality=quality,
            model=model,
            size=size,
            backend=backend,
            device=device,
            flow=flow,
            max_step=max_step,
            key_interval=key_interval,
            views=views,
            smoothing=smoothing,
            passes=passes,
            precision=precision,
            edges=edges,
            batch=batch,
            ahead=ahead,
        )
        settled = options.settled
        _check_process()
        self._backend = create_backend(
            settled.model, backend, device, usable_cores() if ahead else 1, settled.precision
        )
        self._size = settled.size
        self._flow = create_flow(settled.flow) if isinstance(settled.flow, str) else settled.flow
        self._flow_turn, self._network_turn = Lock(), Lock()  # neither bears two threads at once
        self._max_step = max_step
        self._key_interval = settled.key_interval
        self._views = settled.views
        self._smoothing = settled.smoothing
        self._features = create_features() if settled.passes == 2 else None
        self._edges = edges
        self._batch = batch
        self._ahead = ahead

    def __call__(
        self, frames: Iterable[Frame | NDArray[np.uint8]], objects: float | None = None
    ) -> Generator[Segmented, None, None]:
        """Stream the frames of a video, each with what is found in it. Closing the stream ends its threads.

        Args:
            frames: at least two, in order, all of one size: `Frame`s, or RGB images, uint8 [H, W, 3], which are copied.
                They are taken from a thread unless `ahead` is 0. With two passes they are iterated over twice.
            objects: tell objects apart, so that results have `labels`: the probability from which on a pixel is of one.

        Raises:
            InputError: the frames are something else, or an iterator where there are two passes; `objects` is no
                probability; or this process is a fork. What only a later frame shows is raised when that is taken.
        """
        _check_process()
        if objects is not None:
            options_of(VideoOptions)["threshold"].check("objects", objects)
        return self._results(*self._readings(frames), objects)

    def find(self, frames: Iterable[Frame | NDArray[np.uint8]], *, steps: bool = True) -> Generator[Found, None, None]:
        """Do the first half of `__call__`: yield maps at the network's size, with their `steps`; see `shown`."""
        _check_process()
        return self._found(*self._readings(frames), steps=steps)

    def inputs(self, frames: Iterable[Frame | NDArray[np.uint8]]) -> Iterator[Views]:
        """Yield what the network sees of a video, key frame by key frame, without running it; see `__call__`."""
        _check_process()
        return (seen.views for seen in self._seen(as_frames(frames)) if seen.views)

    def warm_up(self, width: int, height: int) -> None:
        """Run the network once for frames of this size, because back ends compile when they first see one."""
        columns, rows = network_size(width, height, self._size, self._backend.stride)
        blank = np.zeros((self._batch * self._views, rows, columns, 3), np.uint8)
        with self._network_turn:
            self._backend(blank, blank)

    def _readings(self, frames: Iterable[Frame | NDArray[np.uint8]]) -> tuple[Iterator[Frame], Iterator[Frame] | None]:
        """Return the frames, and once more where there are two passes."""
        if self._features is None:
            return as_frames(frames), None
        if isinstance(frames, Iterator):
            raise InputError(
                "frames: an iterator, which two passes cannot read twice; pass a list or isomer.media.open_frames of a "
                "path, or make the Segmenter with passes=1"
            )
        return as_frames(frames), as_frames(frames)

    def _results(
        self, frames: Iterable[Frame], again: Iterable[Frame] | None, objects: float | None
    ) -> Generator[Segmented, None, None]:
        with closing(self._found(frames, again, steps=objects is not None or self._edges == "matte")) as found:
            results = with_edges(shown(found), self._edges)
            if objects is None:
                yield from map(itemgetter(0), results)
            else:
                yield from number_objects(results, objects)

    def _found(
        self, frames: Iterable[Frame], again: Iterable[Frame] | None, steps: bool
    ) -> Generator[Found, None, None]:
        with ExitStack() as stages:
            frames = iter(frames)
            first = next(frames)
            is_large = first.image.size > _LARGE
            ahead = 0 if is_large else self._ahead

            def overlapped(items: Iterable[_T], ahead: int = ahead) -> Iterator[_T]:
                return stages.enter_context(closing(prefetch(items, ahead)))

            read = overlapped(chained([first], frames), min(self._ahead, 1) if is_large else ahead)
            del first
            if again is None:
                keys = overlapped(self._keys(self._seen(read), steps=steps))
                maps = self._maps(keys, ahead)
            else:
                learnt = _FirstPass([], stages.enter_context(Spool(np.uint8)), Looks())
                self._learn(learnt, read, ahead)
                kept = map(from_levels, learnt.maps)
                keys = overlapped(self._keys(_seen_before(overlapped(again), learnt), steps=steps))
                maps = zip(keys, map(without, kept, learnt.looks.verdicts()), strict=True)
            yield from overlapped(self._small_maps(maps))

    def _learn(self, first: _FirstPass, frames: Iterable[Frame], ahead: int) -> None:
        """Find the maps of all key frames, and learn from them what the object looks like."""
        assert self._features is not None

        def key_frames(frames: Iterable[Frame]) -> Iterator[_Seen]:
            for seen in self._seen(frames):
                first.roles.append((seen.is_key, seen.opens_shot))
                if seen.is_key:
                    yield seen

        with ExitStack() as stages:

            def overlapped(items: Iterable[_T]) -> Iterator[_T]:
                return stages.enter_context(closing(prefetch(items, ahead)))

            keys = overlapped(self._keys(key_frames(frames)))
            for key, probability in overlapped(self._maps(keys, ahead)):
                assert key.views is not None
                back = key.span.back.flow if key.span else None
                levels = as_levels(probability)
                first.maps.append(levels)
                first.looks.add(from_levels(levels), self._features(key.views.images[0]), back)

    def _seen(self, frames: Iterable[Frame]) -> Iterator[_Seen]:
        """Yield the frames, key frames as the network sees them."""
        for moving in moving_frames(
            frames, self._estimate, self._max_step, both=self._views > 1, key_interval=self._key_interval
        ):
            is_key = bool(moving.flows)
            yield _Seen(moving.frame, is_key, moving.opens_shot, self._views_of(moving) if is_key else None)

    def _keys(self, frames: Iterable[_Seen], *, steps: bool = False) -> Iterator[_Key]:
        """Yield the key frames, each linked with the one before and the frames between, where that is of use."""
        needs_links = self._smoothing > 0 or self._key_interval > 1 or self._features
        link = KeyFrameLinks(self._size) if needs_links else None
        step = StepFlow() if steps else None
        between: list[Frame] = []
        back: list[Flow | None] = []
        for frame, is_key, opens_shot, views in frames:
            back.append(step(frame, opens_shot) if step else None)
            if is_key:
                span = link(between, frame, opens_shot) if link else None
                yield _Key(frame, views, span, back)
                between, back = [], []
            else:
                between.append(frame)

    def _estimate(self, source: Frame, target: Frame) -> Flow:
        with self._flow_turn:
            return self._flow(source, target)

    def _views_of(self, moving: MovingFrame) -> Views:
        height, width = moving.frame.image.shape[:2]
        size = network_size(width, height, self._size, self._backend.stride)
        image = resize_image(moving.frame.image, size)
        images, flows = [image], [moving.flows[0]]
        if self._views > 1:
            ahead, behind = moving.flows
            images = [image, np.ascontiguousarray(image[:, ::-1])] * 2
            flows = [ahead, mirrored(behind), behind, mirrored(ahead)]
        colours = [resize_image(flow_to_image(flow), size) for flow in flows[: self._views]]
        return Views(np.stack(images[: self._views]), np.stack(colours))

    def _maps(self, keys: Iterator[_Key], ahead: int) -> Iterator[tuple[_Key, Probability]]:
        """Yield key frames with their maps, smoothed if they are to be."""
        maps = self._computed(keys, self._backend.workers if ahead else 1)
        return smooth(maps, self._smoothing) if self._smoothing else maps

    def _small_maps(self, maps: Iterable[tuple[_Key, Probability]]) -> Iterator[Found]:
        """Yield all frames with their maps, those between key frames from theirs."""
        before = np.empty(0, np.float32)
        for key, probability in maps:
            *steps, step = key.steps
            if key.span:
                between = interpolate(before, probability, key.span.between)
                yield from (Found(*item, its) for item, its in zip(between, steps, strict=True))
            yield Found(key.frame, probability, step)
            before = probability
            del key  # with the frames that it has brought along: large ones fill the memory

    def _computed(self, keys: Iterator[_Key], workers: int) -> Iterator[tuple[_Key, Probability]]:
        """Yield key frames with their maps, computing as many ahead as there are workers, if there are several."""
        ahead = 0  # of the first batch: who waits for the first map waits for as few others as can be
        waiting: deque[tuple[list[_Key], Callable[[], NDArray[np.float32]]]] = deque()
        try:
            while batch := list(islice(keys, self._batch)):
                seen = [key.views for key in batch if key.views]
                images, flows = (np.concatenate(views) for views in zip(*seen, strict=True))
                with self._network_turn:
                    waiting.append((batch, self._backend.start(images, flows)))
                if len(waiting) > ahead:
                    done, result = waiting.popleft()
                    yield from zip(done, self._averaged(result()), strict=True)
                    ahead = workers if workers > 1 else 0
            while waiting:
                done, result = waiting.popleft()
                yield from zip(done, self._averaged(result()), strict=True)
        finally:
            for _, result in waiting:  # of a stream that is left early
                result()

    def _averaged(self, maps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Average the views of every frame: from [B V, h, w] to [B, h, w]."""
        maps = maps.reshape(-1, self._views, *maps.shape[1:])
        straight = [maps[:, view, :, :: -1 if view % 2 else 1] for view in range(self._views)]
        return np.asarray(np.mean(straight, axis=0), np.float32)


def shown(found: Iterable[Found]) -> Iterator[tuple[Segmented, Flow | None]]:
    """Bring maps to the size of their frames, each with the flow to the frame before."""

    def enlarged(one: Found) -> tuple[Segmented, Flow | None]:
        return Segmented.of(one.frame, resize_map(one.probability, *one.frame.image.shape[:2])), one.step

    return map(enlarged, found)


def _seen_before(frames: Iterable[Frame], first: _FirstPass) -> Iterator[_Seen]:
    """Yield frames in the roles that they had in the first pass."""
    for frame, (is_key, opens_shot) in zip(frames, first.roles, strict=True):
        yield _Seen(frame, is_key, opens_shot, None)


def mirrored(flow: Flow) -> Flow:
    """Return the flow of the mirrored frames."""
    return np.ascontiguousarray(flow[:, ::-1] * np.array([-1, 1], np.float32))


def _check_process() -> None:
    """Refuse to work in a fork of a process that has made a segmenter: who waits for its threads there waits for ever.

    They are those of OpenCV and of what runs the network, which know nothing of forks.
    """
    global _process
    _process = _process or os.getpid()
    if _process != os.getpid():
        raise InputError(
            "this process was forked from one with a Segmenter, whose threads it lacks; start it by "
            "multiprocessing.get_context('spawn'), and make a Segmenter in it"
        )

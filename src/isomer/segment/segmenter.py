"""Frames in, results out, as a stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.flow import DISFlow, Flow, FlowEstimator, MovingFrame, flow_to_image, moving_frames
from isomer.machine import usable_cores
from isomer.media import Frame, Segmented
from isomer.media.resize import network_size, resize_image
from isomer.runtime import create_backend
from isomer.segment.interpolation import interpolate
from isomer.segment.links import KeyFrameLinks, Span
from isomer.segment.objects import StepFlow, number_objects
from isomer.segment.prefetch import prefetch
from isomer.segment.smoothing import smooth
from isomer.segment.warp import resize_map

if TYPE_CHECKING:
    from isomer.model.network import Isomer  # importing PyTorch takes longer than OpenVINO's first mask

Probability = NDArray[np.float32]

_T = TypeVar("_T")


class Views(NamedTuple):
    """What the network sees of a frame, view by view: uint8 [V, h, w, 3], those of odd number mirrored."""

    images: NDArray[np.uint8]
    flows: NDArray[np.uint8]


class _Key(NamedTuple):
    frame: Frame
    views: Views
    span: Span | None  # from the key frame before of the shot, if there is one
    steps: list[Flow | None]  # see `_Found.step`: of the frames between, and its own


class _Found(NamedTuple):
    frame: Frame
    probability: Probability  # at the network's size or smaller
    step: Flow | None  # to the frame before; None where a shot opens, or objects are not told apart


class Segmenter:
    """Find the primary object of a video in every frame, of one video at a time.

    Args:
        model: a model's name, a checkpoint's path, or a network.
        size: the network sees a frame at about `size` x `size` pixels, its aspect kept.
        backend: what runs the network, one of `isomer.runtime.BACKENDS`; `auto` says its choice in the log.
        device: a torch device, or `auto`.
        flow: estimates the motion; DIS by default.
        max_step: the largest temporal step of the flow, in frames; see `isomer.flow.moving_frames`.
        key_interval: the most frames from one that the network sees to the next. Where little moves they are so far
            apart, else closer; maps of frames between are interpolated along the flow. With 1 it sees every frame.
        views: how often the network sees a frame: once with the flow ahead (1); besides mirrored, with the flow
            from behind (2); or both images with both flows (4). Its maps are averaged. It costs as many times more.
        smoothing: weight of the maps of both neighbouring key frames, moved along the flow, in that of a key frame,
            whose own is 1; 0 leaves maps as they are.
        batch: key frames that go through the network together; more delay the stream.
        ahead: frames that reading, flow and network each work ahead, in threads of their own; 0 does all when
            the next map is asked for, in the caller's thread.

    Raises:
        InputError: no such model, back end or device, or an impossible size, number or share.
    """

    def __init__(
        self,
        model: str | Path | Isomer = "isomer_mobilenet_v2",
        *,
        size: int = 384,
        backend: str = "auto",
        device: str = "auto",
        flow: FlowEstimator | None = None,
        max_step: int = 4,
        key_interval: int = 6,
        views: int = 1,
        smoothing: float = 1.0,
        batch: int = 1,
        ahead: int = 2,
    ):
        check_options(size=size, key_interval=key_interval, views=views, smoothing=smoothing)
        if batch < 1:
            raise InputError(f"batch {batch}: not positive; 1 is the default")
        self._backend = create_backend(model, backend, device, workers=usable_cores() if ahead else 1)
        self._size = size
        self._flow = flow or DISFlow()
        self._max_step = max_step
        self._key_interval = key_interval
        self._views = views
        self._smoothing = smoothing
        self._batch = batch
        self._ahead = ahead

    def __call__(
        self, frames: Iterable[Frame | NDArray[np.uint8]], objects: float | None = None
    ) -> Generator[Segmented, None, None]:
        """Stream the frames of a video, each with what is found in it. Closing the stream ends its threads.

        Args:
            frames: in order, all of one size: `Frame`s, or RGB images, uint8 [H, W, 3]. They are taken from
                a thread unless `ahead` is 0.
            objects: probability in (0, 1) from which on a pixel is of an object, to tell objects apart: the results
                then have `labels`.

        Raises:
            InputError: `objects` is no such probability.
        """
        if objects is not None and not 0 < objects < 1:
            raise InputError(f"objects={objects}: not a probability between 0 and 1; 0.5 is that of the masks")
        with ExitStack() as stages:

            def overlapped(items: Iterable[_T]) -> Iterator[_T]:
                return stages.enter_context(closing(prefetch(items, self._ahead)))

            keys = overlapped(self._keys(overlapped(_as_frames(frames)), steps=objects is not None))
            results = (
                (Segmented.of(frame, resize_map(probability, *frame.image.shape[:2])), step)
                for frame, probability, step in overlapped(self._small_maps(keys))
            )
            if objects is None:
                yield from (result for result, _ in results)
            else:
                yield from number_objects(results, objects)

    def inputs(self, frames: Iterable[Frame | NDArray[np.uint8]]) -> Iterator[Views]:
        """Yield what the network sees of a video, key frame by key frame, without running it."""
        return (key.views for key in self._keys(_as_frames(frames), links=False))

    def warm_up(self, width: int, height: int) -> None:
        """Run the network once for frames of this size, because back ends compile when they first see one."""
        columns, rows = network_size(width, height, self._size, self._backend.stride)
        blank = np.zeros((self._batch * self._views, rows, columns, 3), np.uint8)
        self._backend(blank, blank)

    def _keys(self, frames: Iterable[Frame], *, links: bool = True, steps: bool = False) -> Iterator[_Key]:
        """Yield the key frames, each linked with the one before and the frames between, where that is of use."""
        link = KeyFrameLinks() if links and (self._smoothing > 0 or self._key_interval > 1) else None
        step = StepFlow() if steps else None
        between: list[Frame] = []
        back: list[Flow | None] = []
        for moving in moving_frames(
            frames, self._flow, self._max_step, both=self._views > 1, key_interval=self._key_interval
        ):
            back.append(step(moving.frame, moving.opens_shot) if step else None)
            if moving.flows:
                span = link(between, moving.frame, moving.opens_shot) if link else None
                yield _Key(moving.frame, self._seen(moving), span, back)
                between, back = [], []
            else:
                between.append(moving.frame)

    def _seen(self, moving: MovingFrame) -> Views:
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

    def _small_maps(self, keys: Iterator[_Key]) -> Iterator[_Found]:
        before = np.empty(0, np.float32)
        maps = self._computed(keys)
        for key, probability in smooth(maps, self._smoothing) if self._smoothing else maps:
            *steps, step = key.steps
            if key.span:
                between = interpolate(before, probability, key.span.between)
                yield from (_Found(*item, its) for item, its in zip(between, steps, strict=True))
            yield _Found(key.frame, probability, step)
            before = probability

    def _computed(self, keys: Iterator[_Key]) -> Iterator[tuple[_Key, Probability]]:
        """Yield key frames with their maps, computing some ahead if the back end gains by it."""
        ahead = 0  # of the first batch: who waits for the first map waits for as few others as can be
        waiting: deque[tuple[list[_Key], Callable[[], NDArray[np.float32]]]] = deque()
        try:
            while batch := list(islice(keys, self._batch)):
                images, flows = zip(*(key.views for key in batch), strict=True)
                waiting.append((batch, self._backend.start(np.concatenate(images), np.concatenate(flows))))
                if len(waiting) > ahead:
                    done, result = waiting.popleft()
                    yield from zip(done, self._averaged(result()), strict=True)
                    ahead = self._backend.workers if self._backend.workers > 1 else 0
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


def check_options(*, size: int, views: int, smoothing: float, key_interval: int = 6) -> None:
    """Refuse options of `Segmenter` that are out of their ranges, for who wants to know before one is made.

    Raises:
        InputError: one is.
    """
    if not 64 <= size <= 4096:
        raise InputError(f"--size {size}: not between 64 and 4096 pixels; 384 is the default")
    if key_interval < 1:
        raise InputError(f"--key-interval {key_interval}: not positive; 6 is the default, 1 takes every frame")
    if views not in (1, 2, 4):
        raise InputError(f"--views {views}: not 1, 2 or 4; 1 is the default")
    if not 0 <= smoothing <= 10:
        raise InputError(f"--smoothing {smoothing}: not a weight of 0 to 10; 1 is the default")


def mirrored(flow: Flow) -> Flow:
    """Return the flow of the mirrored frames."""
    return np.ascontiguousarray(flow[:, ::-1] * np.array([-1, 1], np.float32))


def _as_frames(frames: Iterable[Frame | NDArray[np.uint8]]) -> Iterator[Frame]:
    for index, frame in enumerate(frames):
        yield frame if isinstance(frame, Frame) else Frame(index, frame, float(index), f"{index:05d}")

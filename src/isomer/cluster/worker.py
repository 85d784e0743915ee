"""What a worker does: it loads the model once and segments videos and parts of videos."""

from __future__ import annotations

import json
import os
import shutil
import time
import traceback
import warnings
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isomer.cluster.inputs import Video
from isomer.cluster.settings import Settings, kept
from isomer.cluster.shards import WARM_UP, PairedFlow, Shard, look_ahead
from isomer.errors import InputError
from isomer.files import atomic_path, remove_unfinished
from isomer.flow import create_flow
from isomer.media import OUTPUTS, Frame, FrameSource, Look, Segmented, Writer, open_frames, open_outputs
from isomer.media.containers import PNGFolder
from isomer.media.image import decode_stored, read_bytes, read_gray
from isomer.options import Options
from isomer.segment import Segmenter
from isomer.segment.door import TakenFrames
from isomer.segment.objects.passes import warn_of_nothing, write_objects
from isomer.segment.objects.tracker import with_steps
from isomer.segment.objects.video_objects import Follower
from isomer.segment.spool import from_levels
from isomer.segment.video import segment_taken


@dataclass(frozen=True)
class Done:
    """A video is segmented, or joined from its parts."""

    outputs: tuple[str, ...]
    frames: int


@dataclass(frozen=True)
class TooLong:
    """A video is to be segmented in parts: it has about so many frames."""

    frames: int


@dataclass(frozen=True)
class PartDone:
    """A part of a video is segmented; what it paired from its seam to its successor's first frame."""

    pairs: list[int]


@dataclass(frozen=True)
class Failed:
    """It cannot be done, and trying again would not help."""

    error: str


Result = Done | TooLong | PartDone | Failed


@dataclass(frozen=True)
class Outcome:
    """The result of a task, the seconds it took, and what was wrong with the video all the same."""

    result: Result
    seconds: float
    warning: str | None


class Worker:
    """Segments videos one by one; an actor of Ray.

    Args:
        settings: of the batch.
        cores: numbers of the processor cores to keep to, if any.
    """

    def __init__(self, settings: Settings, cores: Sequence[int] = ()) -> None:
        if cores:
            os.sched_setaffinity(0, cores)
        self._settings = settings

    def load(self) -> InputError | None:
        """Load the model; return what is wrong with the settings, if anything is."""
        settings = self._settings
        try:
            settled = settings.settled
            self._flow = PairedFlow(create_flow(str(settled.flow)), settled.key_interval)
            self._segmenter = Segmenter(**settings.of(Options) | {"flow": self._flow})
        except InputError as error:
            return error
        except Exception as error:  # from a back end's library: the same for every worker
            return InputError(f"the model cannot be loaded ({type(error).__name__}: {error})")
        return None

    def run(self, task: str, video: Video, *arguments: object) -> Outcome:
        """Do a task: the name of a method, and its arguments, of which the video is the first."""
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                result: Result = getattr(self, task)(video, *arguments)
            except InputError as error:
                result = Failed(_about(video, str(error)))
            except Exception as error:  # a video that breaks a library must not end the batch
                traceback.print_exc()
                result = Failed(_about(video, f"{type(error).__name__}: {error}"))
        warning = next((str(w.message) for w in caught if issubclass(w.category, UserWarning)), None)
        return Outcome(result, time.perf_counter() - start, warning)

    def segment(self, video: Video) -> Done | TooLong:
        """Segment a video, unless it is too long."""
        settings = self._settings
        source = self._open(video)
        taken = 0 if source.count is None else -(-source.count // settings.stride)
        if 0 < settings.shard < taken and settings.settled.passes == 1:  # two see the whole video
            return TooLong(taken)
        self._flow.begin()
        frames = TakenFrames(source, settings.stride)
        with self._writers(video, source) as writers:
            count = segment_taken(self._segmenter, frames, writers.values(), settings)
        return Done(tuple(str(writer.path) for writer in writers.values()), count)

    def segment_part(self, video: Video, folder: Path, shard: Shard) -> PartDone:
        """Segment a part of a video into `folder`, or repair it there; what is there already is kept."""
        settings = self._settings
        stride = settings.stride
        record = folder / f"{shard.start}.json"
        had: list[int] = json.loads(record.read_text()) if record.exists() else []
        if had and shard.step is None:
            return PartDone(had)
        folder.mkdir(parents=True, exist_ok=True)
        source = open_frames(video.path, self._settings.max_pixels)
        beyond = look_ahead(settings.max_step, settings.settled.key_interval)
        last = None if shard.stop is None else (shard.stop + beyond) * stride
        frames = islice(source, max(0, shard.seam - WARM_UP) * stride, last, stride)
        self._flow.begin(shard.seam * stride, shard.step, stride)
        pairs: list[int] = []
        right = 0  # key frames in a row that a repair pairs as they were
        with ExitStack() as stack:
            shared = partial(PNGFolder, is_shared=True)  # with the other parts
            parts = [(OUTPUTS[kind]._replace(container=shared), folder / kind) for kind in settings.kept]
            unadjusted = Look(settings.threshold)  # until the parts are joined
            writers = stack.enter_context(open_outputs(parts, source, unadjusted))
            for result in stack.enter_context(closing(self._results(frames))):
                position = result.index // stride
                if position < shard.seam:
                    continue
                pair = self._flow.pair(result)
                if pair:
                    right = right + 1 if had[len(pairs) : len(pairs) + 1] == [pair] else 0
                if right == 2:  # from here on all is as it was; the first's map has another neighbour's in it
                    pairs += had[len(pairs) :]
                    break
                pairs.append(pair)
                if position == shard.stop:
                    break
                if position >= shard.start:
                    for writer in writers:
                        writer.write(result)
        with atomic_path(record) as temporary:
            temporary.write_text(json.dumps(pairs))
        return PartDone(pairs)

    def join(self, video: Video, folder: Path) -> Done:
        """Write the outputs of a video whose parts are all in `folder`, and remove that."""
        settings = self._settings
        source = self._open(video)
        with self._writers(video, source) as writers:
            if settings.follows_objects:
                count = self._join_objects(source, folder, writers.values())
            else:
                count = self._join_maps(source, folder, writers)
        shutil.rmtree(folder, ignore_errors=True)
        return Done(tuple(str(writer.path) for writer in writers.values()), count)

    def _results(self, frames: Iterable[Frame]) -> Generator[Segmented, None, None]:
        """Yield results; where objects are followed, with maps of the network's size, by which they are."""
        if not self._settings.follows_objects:
            yield from self._segmenter(frames)
            return
        with closing(self._segmenter.find(frames)) as results:
            yield from (Segmented.of(found.frame, found.probability) for found in results)

    def _join_maps(self, source: FrameSource, folder: Path, writers: Mapping[str, Writer]) -> int:
        settings = self._settings
        count, highest = 0, 0.0
        for frame in TakenFrames(source, settings.stride):
            for kind, writer in writers.items():
                result = _stored(kept(kind), folder, frame, settings.threshold, settings.max_pixels)
                writer.write(result)
                highest = max(highest, float(result.probability.max()))
            count += 1
        if highest < settings.threshold:
            warn_of_nothing()
        return count

    def _join_objects(self, source: FrameSource, folder: Path, writers: Collection[Writer]) -> int:
        settings = self._settings

        def stored() -> Iterator[tuple[Frame, NDArray[np.uint8]]]:
            for frame in TakenFrames(source, settings.stride):
                yield frame, read_gray(folder / "probabilities" / f"{frame.name}.png")

        with Follower(settings.threshold) as follower:
            maps = (Segmented.of(frame, from_levels(levels)) for frame, levels in stored())
            for result, step in with_steps(maps):
                follower.add(result, result.probability, step)
            levels = (levels for _, levels in stored())
            frames = TakenFrames(source, settings.stride)
            return write_objects(frames, levels, follower.objects(), writers, settings)

    def _open(self, video: Video) -> FrameSource:
        """Open a video as its outputs need it."""
        settings = self._settings
        deep = any(OUTPUTS[kind].is_deep for kind in settings.outputs)
        return open_frames(video.path, settings.max_pixels, audio=settings.audio, deep=deep)

    @contextmanager
    def _writers(self, video: Video, source: FrameSource) -> Iterator[dict[str, Writer]]:
        places = self._settings.places(video)
        for path in places.values():
            remove_unfinished(path)  # only one worker at a time writes it
        outputs = [(OUTPUTS[kind], path) for kind, path in places.items()]
        with open_outputs(outputs, source, Look.asked_for(self._settings, source)) as writers:
            yield dict(zip(places, writers, strict=True))


def _stored(kinds: Collection[str], folder: Path, frame: Frame, threshold: float, max_pixels: int) -> Segmented:
    """Return a result of which a writer makes the same picture as of that of which `kinds` were kept; see `kept`."""
    levels = {}
    for kind in kinds:
        file = folder / kind / f"{frame.name}.png"
        levels[kind] = np.divide(decode_stored(read_bytes(file), file, max_pixels), 255, dtype=np.float32)
    if "cutouts" in levels:
        alpha = levels["cutouts"][..., 3]
        return Segmented.of(frame, (alpha - np.float32(0.5)) / 2 + np.float32(threshold), alpha=alpha)
    if len(levels) == 1:
        return Segmented.of(frame, levels.popitem()[1])
    # Where rounding took a pixel to the other side of the threshold it goes back, no farther than it must.
    below = np.nextafter(np.float32(threshold), np.float32(0))
    probability, inside = levels["probabilities"], levels["masks"] > 0
    probability = np.where(inside, np.maximum(probability, np.float32(threshold)), np.minimum(probability, below))
    return Segmented.of(frame, np.asarray(probability, np.float32))


def _about(video: Video, error: str) -> str:
    """Have a line name the video that it is about, which not every error does."""
    name = str(video.path)
    return error if error.startswith(name) else f"{name}: {error}"

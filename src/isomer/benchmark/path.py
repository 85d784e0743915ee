"""How long each stage of the path takes, and the whole of it."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from isomer.benchmark.parts import part_timer
from isomer.errors import InputError
from isomer.flow import create_flow, flow_to_image, moving_frames
from isomer.machine import processor
from isomer.media import OUTPUTS, Frame, Segmented, open_frames, open_output
from isomer.media.resize import network_size, resize_image
from isomer.model.weights import find_checkpoint
from isomer.model.zoo import create_model
from isomer.options import OptionGroup, Options, option
from isomer.runtime import create_backend
from isomer.segment.edges.stream import with_edges
from isomer.segment.interpolation import interpolate
from isomer.segment.links import KeyFrameLinks, Span
from isomer.segment.segmenter import Segmenter
from isomer.segment.smoothing import smooth
from isomer.segment.video import segment_video
from isomer.segment.warp import resize_map

if TYPE_CHECKING:
    from isomer.model.network import Isomer

T = TypeVar("T")

_OF_KEYS = ("flow", "flow colours", "resize", "network", "smoothing")
STAGES = ("decode", *_OF_KEYS, "interpolation", "upsample", "edges", "overlay and encode")
"""Stages of the path, in order. They overlap, so the whole takes less than their sum.

Five are of key frames only; interpolation is of the other frames; it and smoothing are with the flow they need.
"""


@dataclass(frozen=True)
class Effort(OptionGroup):
    """How much is measured."""

    frames: int = option(72, "of the rendered video, where no other is given", low=2)
    repeats: int = option(30, "of each stage, after a warm-up", low=1)
    rounds: int = option(3, "of the whole path", low=1)


@dataclass
class Measurement:
    """What was found; times are in seconds, one a repeat.

    Attributes:
        configuration: what was measured.
        input_size: (width, height) that the network sees.
        parameters: of the network; None without a checkpoint or without PyTorch, which counts them.
        flops: of the network for one frame; a multiplication and an addition are two. None as above.
        key_share: how many of the video's frames are key frames, in (0, 1].
        stages: times of a frame by stage, see STAGES; of the network, those of a batch divided by its frames.
        parts: times of a batch by part of the network, in runs of their own; PyTorch and OpenVINO tell.
        path: times of a frame by the whole path, video in and overlay out.
        peak_memory: bytes of the process so far, and of the GPU.
    """

    configuration: Options
    input_size: tuple[int, int]
    parameters: int | None
    flops: int | None
    key_share: float
    stages: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    parts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    path: list[float] = field(default_factory=list)
    peak_memory: dict[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain types: medians and 95th percentiles in milliseconds.

        `stages_ms` is of a frame that goes through the stage, `stages_of_all_frames_ms` of the mean frame.
        """
        return {
            "configuration": self.configuration.of(Options),
            "input_size": list(self.input_size),
            "parameters": self.parameters,
            "flops": self.flops,
            "key_share": round(self.key_share, 4),
            "stages_ms": {name: percentiles(self.stages[name]) for name in STAGES},
            "stages_of_all_frames_ms": {
                name: round(1000 * float(np.median(self.stages[name])) * self._share(name), 3) for name in STAGES
            },
            "parts_ms": {name: percentiles(times) for name, times in self.parts.items()},
            "path_ms": percentiles(self.path),
            "frames_per_second": 1 / float(np.median(self.path)),
            "peak_memory_bytes": self.peak_memory,
        }

    def _share(self, stage: str) -> float:
        """How many of all frames go through a stage."""
        if stage == "interpolation":
            return 1 - self.key_share
        return self.key_share if stage in _OF_KEYS else 1.0


def benchmark(
    configurations: Sequence[Options],
    video: str | Path,
    repeats: int = Effort.repeats,
    rounds: int = Effort.rounds,
) -> list[Measurement]:
    """Measure configurations in turn, so that what else the machine does meets all of them alike.

    Args:
        configurations: one or several.
        video: what the path is measured on; its first `repeats` + 1 frames, or all if it has fewer, are for
            the stages.
        repeats: see `Effort`.
        rounds: see `Effort`.

    Raises:
        InputError: a configuration, the video or a number is no good.
    """
    Effort(repeats=repeats, rounds=rounds)  # checks them
    for configuration in configurations:
        Segmenter(**configuration.of(Options))  # refuses now what the path would refuse at the end
    frames = list(islice(open_frames(video), repeats + 1))
    if len(frames) < 2:
        raise InputError(f"{video}: has only one frame; motion needs at least two")
    width, height = open_frames(video).size
    runs = [_Run(configuration, video, (width, height)) for configuration in configurations]
    for source, target in pairwise(frames):
        for run in runs:
            run.stages(source, target)
    for run in runs:
        run.decode(video, len(frames))
        run.encode(video, frames)
    for _ in range(rounds):
        for run in runs:
            run.path(video)
    return [run.result for run in runs]


def machine() -> dict[str, Any]:
    """Describe what the figures were measured on."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "gpu": _gpu(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("openvino", "onnxruntime", "torch") if find_spec(name)},
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def percentiles(times: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile of seconds, in milliseconds."""
    median, p95 = np.percentile(times, (50, 95)) * 1000
    return {"median": round(float(median), 3), "p95": round(float(p95), 3)}


class _Spanned(NamedTuple):
    span: Span | None


class _Run:
    """One configuration, warmed up."""

    def __init__(self, configuration: Options, video: str | Path, frame_size: tuple[int, int]):
        settled = configuration.settled
        self._backend = create_backend(
            settled.model, configuration.backend, configuration.device, precision=settled.precision
        )
        self._size = network_size(*frame_size, settled.size, self._backend.stride)
        parameters = flops = None
        model = settled.model
        if isinstance(model, (str, Path)) and find_checkpoint(model) and find_spec("torch"):
            network = create_model(model)
            parameters = sum(p.numel() for p in network.parameters())
            flops = count_flops(network, self._size)
        self._flow = create_flow(settled.flow) if isinstance(settled.flow, str) else settled.flow
        moving = moving_frames(
            open_frames(video), self._flow, configuration.max_step, key_interval=settled.key_interval
        )
        key_share = float(np.mean([bool(frame.flows) for frame in moving]))
        self.result = Measurement(configuration, self._size, parameters, flops, key_share)
        images = configuration.batch * settled.views
        blank = np.zeros((images, self._size[1], self._size[0], 3), np.uint8)
        self._parts = part_timer(self._backend, blank.shape)
        for _ in range(3):
            self._backend(blank, blank)
            self._parts(blank, blank)

    def stages(self, source: Frame, target: Frame) -> None:
        batch, views = self.result.configuration.batch, self.result.configuration.settled.views
        pairs = [(source, target), (target, source)][:views]  # two or more views look back as well as ahead
        flows = self._timed("flow", lambda: [self._flow(*pair) for pair in pairs])
        colours = self._timed("flow colours", lambda: [flow_to_image(flow) for flow in islice(cycle(flows), views)])
        image, *flow_images = self._timed(
            "resize", lambda: [resize_image(shown, self._size) for shown in (source.image, *colours)]
        )
        inputs = np.stack([image] * batch * views), np.stack(flow_images * batch)
        start = time.perf_counter()
        maps = self._backend(*inputs)
        self.result.stages["network"].append((time.perf_counter() - start) / batch)
        self._timed("smoothing", partial(self._smooth, source, target, maps[0]))
        links = KeyFrameLinks(self.result.configuration.settled.size)
        keys = links.gray(source), links.gray(target)
        self._timed("interpolation", lambda: list(interpolate(maps[0], maps[0], [links.between(source, 0.5, *keys)])))
        probability = self._timed("upsample", partial(resize_map, maps[0], *source.image.shape[:2]))
        found = [(Segmented.of(frame, probability), step) for frame, step in ((source, None), (target, flows[0]))]
        start = time.perf_counter()
        count = len(list(with_edges(found, self.result.configuration.edges)))
        self.result.stages["edges"].append((time.perf_counter() - start) / count)
        for part, seconds in self._parts(*inputs).items():
            self.result.parts[part].append(seconds)

    def _smooth(self, before: Frame, key: Frame, probability: NDArray[np.float32]) -> None:
        weight = self.result.configuration.settled.smoothing
        if not weight:
            return
        links = KeyFrameLinks(self.result.configuration.settled.size)
        keys = [_Spanned(links([], frame, opens_shot=frame is before)) for frame in (before, key)]
        for _ in smooth([(spanned, probability) for spanned in keys], weight):  # each has one neighbour: one has two
            pass

    def decode(self, video: str | Path, count: int) -> None:
        frames = iter(open_frames(video))
        for _ in range(count):
            self._timed("decode", partial(next, frames))

    def encode(self, video: str | Path, frames: Sequence[Frame]) -> None:
        probability = _disc(*open_frames(video).size)
        with (
            tempfile.TemporaryDirectory() as folder,
            open_output(OUTPUTS["overlay"], Path(folder) / "overlay.mp4", open_frames(video)) as writer,
        ):
            for frame in frames:
                self._timed("overlay and encode", partial(writer.write, Segmented.of(frame, probability)))

    def path(self, video: str | Path) -> None:
        options = self.result.configuration.of(Options)
        with tempfile.TemporaryDirectory() as folder:
            summary = segment_video(video, Path(folder) / "overlay.mp4", **options)
        self.result.path.append(summary.seconds / summary.frames)
        self.result.peak_memory = _peak_memory()

    def _timed(self, stage: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = work()
        self.result.stages[stage].append(time.perf_counter() - start)
        return result


def _disc(width: int, height: int) -> NDArray[np.float32]:
    """A map whose object is a disc: overlays draw its outline."""
    y, x = np.ogrid[:height, :width]
    return np.asarray(np.hypot(x - width / 2, y - height / 2) < height / 4, np.float32)


def count_flops(network: Isomer, size: tuple[int, int]) -> int:
    """Count what one image of (width, height) takes; a multiplication and an addition are two."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    image = torch.zeros(1, 3, size[1], size[0])
    with FlopCounterMode(display=False) as counter:
        network.requires_grad_(False)(image, image)
    return int(counter.get_total_flops())


def _peak_memory() -> dict[str, int]:
    peak = {}
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak["process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            peak["gpu"] = torch.cuda.max_memory_allocated()
    return peak


def _gpu() -> str | None:
    """Name the GPU that PyTorch would use."""
    if not find_spec("torch"):
        return None
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None

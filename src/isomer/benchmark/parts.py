"""How long each part of the network takes: its encoders, its fusions, its head."""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from isomer.runtime import Backend

if TYPE_CHECKING:
    from isomer.runtime.openvino import OpenVINOBackend
    from isomer.runtime.pytorch import TorchBackend

Images = NDArray[np.uint8]
PartTimer = Callable[[Images, Images], dict[str, float]]
"""Takes a batch of frames and flow images, as a `Backend` does; tells the seconds of each part."""

_PART = re.compile(r"\bnetwork\.(\w+)")  # a part within the names that exporting `Uint8Network` gives


def part_timer(backend: Backend, shape: tuple[int, ...]) -> PartTimer:
    """Return what times the parts of the network; it finds none where the back end does not tell them apart.

    Args:
        backend: runs the network.
        shape: of the frames, [B, H, W, 3].
    """
    if find_spec("torch"):
        from isomer.runtime.pytorch import TorchBackend

        if isinstance(backend, TorchBackend):
            return partial(_time_in_pytorch, backend)
    if find_spec("openvino"):
        from isomer.runtime.openvino import OpenVINOBackend

        if isinstance(backend, OpenVINOBackend):
            return _openvino_timer(backend, shape)
    return lambda frames, flows: {}


def _time_in_pytorch(backend: TorchBackend, frames: Images, flows: Images) -> dict[str, float]:
    """Time the network's children by hooks, which wait for the device and so slow the whole."""
    times: dict[str, float] = defaultdict(float)

    import torch

    def now() -> float:
        if backend.device.type == "cuda":
            torch.cuda.synchronize(backend.device)
        return time.perf_counter()

    def start(name: str, *_: object) -> None:
        times[name] -= now()

    def stop(name: str, *_: object) -> None:
        times[name] += now()

    hooks = []
    for name, part in backend.network.named_children():
        hooks.append(part.register_forward_pre_hook(partial(start, name)))
        hooks.append(part.register_forward_hook(partial(stop, name)))
    try:
        backend(frames, flows)
    finally:
        for hook in hooks:
            hook.remove()
    return dict(times)


def _openvino_timer(backend: OpenVINOBackend, shape: tuple[int, ...]) -> PartTimer:
    """Add up OpenVINO's own profile of its nodes by the part that they come from."""
    compiled = backend.compile(shape, PERF_COUNT=True)
    request = compiled.create_infer_request()
    part_of: dict[str, str] = {}
    for node in compiled.get_runtime_model().get_ordered_ops():
        if part := _PART.search(node.get_rt_info()["originalLayersNames"].value):  # of all that it was fused from
            part_of[node.get_friendly_name()] = part[1]
    runs, so_far = 0, defaultdict[str, float](float)

    def run(frames: Images, flows: Images) -> dict[str, float]:
        nonlocal runs, so_far
        request.infer([frames, flows], share_inputs=True)
        runs += 1
        before, so_far = so_far, defaultdict(float)
        for node in request.profiling_info:
            if part := part_of.get(node.node_name):
                so_far[part] += node.real_time.total_seconds() * runs  # it tells the mean of all runs so far
        return {part: total - before[part] for part, total in so_far.items()}

    return run

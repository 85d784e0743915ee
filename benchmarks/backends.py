"""The network alone in each back end, and OpenVINO's options, in turn in one process.

Times are of one frame, the median and the best of all rounds; masks are compared with those of PyTorch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray

from isomer.data.drawing import draw_scene
from isomer.flow import DISFlow, flow_to_image
from isomer.segment.backends import create_backend
from isomer.segment.segmenter import network_size, resize_image

Image = NDArray[np.uint8]
Run = Callable[[Image, Image], NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="isomer_mobilenet_v2")
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    runs: dict[str, Run] = {"PyTorch": create_backend(arguments.model, "torch", "cpu")}
    if find_spec("onnxruntime"):
        runs["ONNX Runtime"] = create_backend(arguments.model, "onnx", "cpu")
    if find_spec("openvino"):
        runs["OpenVINO"] = create_backend(arguments.model, "openvino", "cpu")
        runs |= _openvino(runs["OpenVINO"], arguments.threads)
    frames, flows = _inputs(arguments.size, runs["PyTorch"].stride)  # type: ignore[attr-defined]
    maps = {name: run(frames, flows) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run(frames, flows)
            times[name].append(1000 * (time.perf_counter() - start))

    print(f"{frames.shape[2]}x{frames.shape[1]}, {arguments.threads} threads, load {os.getloadavg()[0]:.2f}")
    print("| | median ms | best ms | x PyTorch | J with PyTorch |")
    print("| --- | --- | --- | --- | --- |")
    reference = statistics.median(times["PyTorch"])
    for name, values in times.items():
        median = statistics.median(values)
        agreement = _agreement(maps[name], maps["PyTorch"])
        print(f"| {name} | {median:.1f} | {min(values):.1f} | {reference / median:.2f} | {agreement:.4f} |")


def _openvino(backend: object, threads: int) -> dict[str, Run]:
    import openvino as ov

    def run(request: ov.InferRequest, frames: Image, flows: Image) -> NDArray[np.float32]:
        return np.asarray(request.infer([frames, flows], share_inputs=True)[0])

    core, model = ov.Core(), backend._model  # type: ignore[attr-defined]
    runs: dict[str, Run] = {}
    for name, hint in (("float32", "f32"), ("bfloat16", "bf16"), ("float16", "f16")):
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": threads,
        }
        request = core.compile_model(model, "CPU", options).create_infer_request()
        runs[f"OpenVINO, free shapes, {name}"] = partial(run, request)
    return runs


def _inputs(size: int, stride: int) -> tuple[Image, Image]:
    scene = draw_scene(np.random.default_rng(0))
    first, second = (scene.render(index)[0] for index in (30, 31))
    shape = network_size(first.shape[1], first.shape[0], size, stride)
    colours = flow_to_image(DISFlow().between(first, second))
    return resize_image(first, shape)[None], resize_image(colours, shape)[None]


def _agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    first, second = one >= 0.5, other >= 0.5
    union = int((first | second).sum())
    return float((first & second).sum() / union) if union else 1.0


if __name__ == "__main__":
    main()

"""The network alone in each back end, and OpenVINO's options, in turn in one process.

Times are of one frame, the median and the best of all rounds; masks are compared with those of PyTorch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from isomer.data.synthetic.drawn import draw_scene
from isomer.flow import DISFlow, flow_to_image
from isomer.media.resize import network_size, resize_image
from isomer.options import Quality
from isomer.runtime import create_backend

Image = NDArray[np.uint8]
Run = Callable[[Image, Image], NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=Quality.model)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--int8", type=Path, metavar="FILE", help="of isomer export --format openvino --int8")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    runs: dict[str, Run] = {"PyTorch": create_backend(arguments.model, "torch", "cpu")}
    if find_spec("onnxruntime"):
        runs["ONNX Runtime"] = create_backend(arguments.model, "onnx", "cpu")
    frames, flows = _inputs(arguments.size, runs["PyTorch"].stride)  # type: ignore[attr-defined]
    if find_spec("openvino"):
        runs["OpenVINO"] = _openvino(arguments.model, frames.shape, arguments.threads)
        for name, hint in (("float32", "f32"), ("bfloat16", "bf16"), ("float16", "f16")):
            runs[f"OpenVINO, free shapes, {name}"] = _openvino(
                arguments.model, (-1, -1, -1, 3), arguments.threads, INFERENCE_PRECISION_HINT=hint
            )
    if arguments.int8:
        runs["OpenVINO, int8"] = _openvino(arguments.int8, frames.shape, arguments.threads)
    maps = {name: run(frames, flows) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(arguments.rounds):
        for name, run in runs.items():
            time.sleep(0.1)  # threads of the one before spin on for a while
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


def _openvino(model: str | Path, shape: tuple[int, ...], threads: int, **options: str) -> Run:
    from isomer.runtime.openvino import OpenVINOBackend

    compiled = OpenVINOBackend(model).compile(shape, INFERENCE_NUM_THREADS=threads, **options)
    request = compiled.create_infer_request()
    return lambda frames, flows: np.array(request.infer([frames, flows], share_inputs=True)[0])


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

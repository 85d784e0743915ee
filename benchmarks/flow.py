"""Time and memory of a pair's optical flow, on one core: DIS, and RAFT-small in each of its runtimes.

Times are CPU time of one pair of 854x480, shrinking included, the median and the best of all rounds. Each row is
measured in a process of its own, whose peak of memory it gives; *loaded* is what that process had before its first
pair.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.data.synthetic.drawn import draw_scene
from isomer.flow import DISFlow, Flow, RAFTFlow
from isomer.media.resize import resize_image

Image = NDArray[np.uint8]

_SIZE = (400, 224)  # of what RAFT sees


def dis(iterations: int) -> Callable[[Image, Image], Flow]:
    return DISFlow().between


def openvino(iterations: int) -> Callable[[Image, Image], Flow]:
    return RAFTFlow(iterations, runtime="openvino", threads=1).between


def onnxruntime(iterations: int) -> Callable[[Image, Image], Flow]:
    return RAFTFlow(iterations, runtime="onnx", threads=1).between


def pytorch(iterations: int) -> Callable[[Image, Image], Flow]:
    import torch

    from isomer.model.raft import load_raft

    torch.set_num_threads(1)
    network = load_raft()

    @torch.inference_mode()
    def run(*pair: Image) -> Flow:
        images = (torch.from_numpy(resize_image(image, _SIZE)).permute(2, 0, 1)[None] for image in pair)
        flow: Flow = network(*images, iterations)[0].permute(1, 2, 0).numpy()
        return flow

    return run


_ESTIMATORS = {"DIS": dis, "OpenVINO": openvino, "ONNX Runtime": onnxruntime, "PyTorch": pytorch}


def measure(name: str, iterations: int, rounds: int) -> tuple[float, float, float, float]:
    """Return the median and the best CPU time in ms, and the memory before the first pair and the peak in MB."""
    cv2.setNumThreads(1)
    scene = draw_scene(np.random.default_rng(0))
    source, target = (scene.render(index)[0] for index in (30, 31))
    run = _ESTIMATORS[name](iterations)
    loaded = _peak()
    run(source, target)
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run(source, target)
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times), min(times), loaded, _peak()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, nargs="+", default=[4, 8, 12])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    print("| | iterations | median ms | best ms | loaded MB | peak MB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in _ESTIMATORS:
        for iterations in arguments.iterations if name != "DIS" else [0]:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                median, best, loaded, peak = pool.apply(measure, (name, iterations, arguments.rounds))
            print(
                f"| {name} | {iterations or ''} | {median:.0f} | {best:.0f} | {loaded:.0f} | {peak:.0f} |", flush=True
            )


if __name__ == "__main__":
    main()

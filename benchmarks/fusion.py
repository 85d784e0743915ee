"""CST and SGST against vanilla Transformers in all four stages: latency, memory and FLOPs, by input size.

The paper's headline (13 times faster at 512x512) is with plain attention, which writes every map of attention
to memory; fused attention never does. Each measurement has a process, and so a peak of memory, of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from isomer.model.config import IsomerConfig
from isomer.model.network import Isomer

KERNELS = {"plain": SDPBackend.MATH, "fused": SDPBackend.FLASH_ATTENTION}


@dataclass(frozen=True)
class Case:
    """What is measured."""

    encoder: str
    fusion: str
    attention: str
    size: int
    device: str


@dataclass(frozen=True)
class Result:
    """Of one network and one image: medians, and the peak above what the process had before."""

    milliseconds: float
    fusion_milliseconds: float
    gigaflops: float
    peak_megabytes: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["mobilenet_v2", "mit_b0"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 384, 512])
    parser.add_argument("--attentions", nargs="+", choices=KERNELS, default=list(KERNELS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="the growth with the size, as .png or .svg")
    arguments = parser.parse_args()

    print(f"{torch.__version__}, {arguments.device}, {arguments.threads} threads, {arguments.repeats} repeats")
    print("| encoder | attention | size | fusion | network ms | fusion ms | GFLOPs | peak MB | x slower |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    results: list[tuple[Case, Result]] = []
    for encoder, attention, size in product(arguments.encoders, arguments.attentions, arguments.sizes):
        first = None
        for fusion in ("isomer", "vanilla"):
            case = Case(encoder, fusion, attention, size, arguments.device)
            needed = 2 * 4 * 8 * (size // 4) ** 4  # bytes: scores and their softmax, 8 heads, at stride 4
            if (fusion, attention, arguments.device) == ("vanilla", "plain", "cpu") and needed > _free():
                print(f"| {encoder} | {attention} | {size} | {fusion} | needs {needed / 1e9:.0f} GB | | | | |")
                continue
            result = _in_a_process(case, arguments.repeats, arguments.threads)
            results.append((case, result))
            first = first or result
            print(
                f"| {encoder} | {attention} | {size} | {fusion} | {result.milliseconds:.1f} "
                f"| {result.fusion_milliseconds:.1f} | {result.gigaflops:.2f} | {result.peak_megabytes:.0f} "
                f"| {result.milliseconds / first.milliseconds:.2f} |",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(c) | asdict(r) for c, r in results], indent=2))
    if arguments.plot:
        _plot(results, arguments.plot)


def _in_a_process(case: Case, repeats: int, threads: int) -> Result:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, case, repeats, threads).result()


@torch.inference_mode()
def measure(case: Case, repeats: int, threads: int) -> Result:
    """Time the network and, by hooks, its four fusions."""
    torch.set_num_threads(threads)
    torch.backends.mha.set_fastpath_enabled(False)  # it has its own, plain attention
    network = Isomer(IsomerConfig(case.encoder, case.fusion)).eval().to(case.device)
    images = torch.rand(2, 1, 3, case.size, case.size, device=case.device)
    before = _memory(case.device)
    in_fusion = 0.0

    def now() -> float:
        if case.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()

    def enter(*_: object) -> None:
        nonlocal in_fusion
        in_fusion -= now()

    def leave(*_: object) -> None:
        nonlocal in_fusion
        in_fusion += now()

    for stage in range(4):
        fusion = network.get_submodule(f"fusion_module{stage}")
        fusion.register_forward_pre_hook(enter)
        fusion.register_forward_hook(leave)
    totals, fusions = [], []
    with sdpa_kernel([KERNELS[case.attention], SDPBackend.MATH] if case.attention == "fused" else SDPBackend.MATH):
        for _ in range(repeats + 1):
            in_fusion = 0.0
            start = now()
            network(images[0], images[1])
            totals.append(now() - start)
            fusions.append(in_fusion)
    return Result(
        1000 * statistics.median(totals[1:]),
        1000 * statistics.median(fusions[1:]),
        _flops(case) / 1e9,
        (_memory(case.device) - before) / 1e6,
    )


def _flops(case: Case) -> int:
    with torch.device("meta"):
        network = Isomer(IsomerConfig(case.encoder, case.fusion)).eval()
        images = torch.rand(2, 1, 3, case.size, case.size)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(images[0], images[1])
    return int(counter.get_total_flops())


def _memory(device: str) -> int:
    """Peak bytes so far."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated()
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _free() -> float:
    """Bytes that a measurement may take."""
    return 0.9 * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _plot(results: list[tuple[Case, Result]], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    encoders = list(dict.fromkeys(case.encoder for case, _ in results))
    figure, panels = plt.subplots(
        1, len(encoders), figsize=(5 * len(encoders), 4), layout="constrained", squeeze=False, sharey=True
    )
    for panel, encoder in zip(panels[0], encoders, strict=True):
        lines: dict[str, list[tuple[int, float]]] = {}
        for case, result in results:
            if case.encoder == encoder:
                label = f"{'CST + SGST' if case.fusion == 'isomer' else 'vanilla'}, {case.attention} attention"
                lines.setdefault(label, []).append((case.size, result.milliseconds))
        for label, points in lines.items():
            panel.plot(*zip(*points, strict=True), marker="o", label=label)
        panel.set(title=encoder, xlabel="input side, pixels", yscale="log")
        panel.set_xticks(sorted({case.size for case, _ in results}))
    panels[0][0].set_ylabel("network, ms")
    panels[0][0].legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()

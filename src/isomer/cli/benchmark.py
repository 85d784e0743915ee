"""Measure the network and the whole path: latencies, frames a second, FLOPs, memory.

--against measures a second configuration in turn with the first and prints the ratio, for instance
`isomer benchmark --against backend=torch`. PyTorch and OpenVINO also tell the parts of the network, in runs of their
own: telling them apart slows the whole.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from isomer.cli._options import add_json_argument, add_options, chosen, convert, report
from isomer.options import Options, options_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from isomer.benchmark import Effort

    parser.add_argument("--video", type=Path, help="what to measure on (default: a rendered one, 854x480)")
    add_options(parser, Options)
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        metavar="OPTION=VALUE",
        help="a second one, which differs in these",
    )
    add_options(parser, Effort)
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="also draw where the time goes (needs the extra plots)"
    )
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and draw what is asked for."""
    import tempfile

    from isomer.benchmark import Effort, benchmark, machine
    from isomer.benchmark.plot import check_matplotlib, plot_stages

    effort = chosen(Effort, arguments)
    configurations = [chosen(Options, arguments)]
    if arguments.against:
        configurations.append(replace(configurations[0], **_overrides(arguments.against)))
    if arguments.plot:
        check_matplotlib()
    with tempfile.TemporaryDirectory() as folder:
        video = arguments.video or _rendered(Path(folder), effort.frames)
        measurements = benchmark(configurations, video, effort.repeats, effort.rounds)
    summaries = [measurement.summary() for measurement in measurements]
    lines = [line for summary in summaries for line in _lines(summary)]
    report(arguments, "\n".join(lines + _ratios(summaries)), machine=machine(), measurements=summaries)
    if arguments.plot:
        plot_stages(summaries, arguments.plot)
    return 0


def _overrides(pairs: list[str]) -> dict[str, Any]:
    from isomer.errors import InputError

    known = options_of(Options)
    overrides = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        name = name.replace("-", "_")
        if name not in known:
            raise InputError(f"--against {pair}: not OPTION=VALUE with one of {', '.join(known)}")
        overrides[name] = convert(value, known[name].kind)
    return overrides


def _rendered(folder: Path, frames: int) -> Path:
    import numpy as np

    from isomer.data.synthetic.clip import SceneFrames, write_clip
    from isomer.data.synthetic.drawn import draw_scene

    write_clip(SceneFrames(draw_scene(np.random.default_rng(0)), frames), folder / "clip.mp4")
    return folder / "clip.mp4"


def _lines(summary: dict[str, Any]) -> Iterator[str]:
    yield ", ".join(f"{name} {value}" for name, value in summary["configuration"].items())
    width, height = summary["input_size"]
    size = ""
    if summary["parameters"] is not None:
        size = f": {summary['parameters'] / 1e6:.2f} M parameters, {summary['flops'] / 1e9:.2f} GFLOPs a frame"
    yield f"  network at {width}x{height}{size}"
    yield f"  {100 * summary['key_share']:.0f} % of the frames are key frames, the others interpolated"
    yield f"  {'stage':<22} {'median':>9} {'p95':>9} {'of all':>9}  ms"
    for name, value in summary["stages_ms"].items():
        mean = summary["stages_of_all_frames_ms"][name]
        yield f"  {name:<22} {value['median']:9.2f} {value['p95']:9.2f} {mean:9.2f}"
    if summary["parts_ms"]:
        yield f"  {'part of the network':<22} {'median':>9} {'p95':>9}  ms"
    for name, value in summary["parts_ms"].items():
        yield f"  {name:<22} {value['median']:9.2f} {value['p95']:9.2f}"
    memory = "".join(
        f", peak memory of the {name} {peak / 1e9:.2f} GB" for name, peak in summary["peak_memory_bytes"].items()
    )
    yield f"  whole path: {summary['frames_per_second']:.1f} frames/s{memory}"


def _ratios(summaries: list[dict[str, Any]]) -> list[str]:
    if len(summaries) < 2:
        return []
    network = [summary["stages_ms"]["network"]["median"] for summary in summaries]
    path = [summary["path_ms"]["median"] for summary in summaries]
    return [f"second / first: network {network[1] / network[0]:.2f}, whole path {path[1] / path[0]:.2f}"]

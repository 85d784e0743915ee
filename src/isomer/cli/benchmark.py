"""Measure the network and the whole path: latencies, frames a second, FLOPs, memory.

--against measures a second configuration in turn with the first and prints the ratio, for instance
`isomer benchmark --against backend=torch`. PyTorch and OpenVINO also tell the parts of the network, in runs of their
own: telling them apart slows the whole.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from isomer.cli._options import add_key_interval_argument, add_model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--video", type=Path, help="what to measure on (default: a rendered one, 854x480)")
    add_model_arguments(parser)
    add_key_interval_argument(parser)
    parser.add_argument("--batch", type=int, default=1, help="key frames at a time (default: %(default)s)")
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        metavar="OPTION=VALUE",
        help="a second one, which differs in these",
    )
    parser.add_argument("--frames", type=int, default=72, help="of the rendered video (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=30, help="of each stage (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of the whole path (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures here")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="also draw where the time goes (needs the extra plots)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and write what is asked for."""
    import json
    import tempfile

    from isomer.benchmark.path import Configuration, benchmark, machine
    from isomer.benchmark.plot import check_matplotlib, plot_stages
    from isomer.errors import InputError
    from isomer.files import atomic_path

    if arguments.plot:
        check_matplotlib()
    if arguments.frames < 2:
        raise InputError(f"--frames {arguments.frames}: motion needs at least two; 72 is the default")
    first = {name: getattr(arguments, name) for name in Configuration.__dataclass_fields__}
    configurations = [Configuration(**first)]
    if arguments.against:
        configurations.append(Configuration(**first | _overrides(arguments.against, first)))
    with tempfile.TemporaryDirectory() as folder:
        video = arguments.video or _rendered(Path(folder), arguments.frames)
        measurements = benchmark(configurations, video, arguments.repeats, arguments.rounds)
    summaries = [measurement.summary() for measurement in measurements]
    for summary in summaries:
        _print(summary)
    if len(summaries) == 2:
        _print_ratios(*summaries)
    if arguments.json:
        with atomic_path(arguments.json) as temporary:
            temporary.write_text(json.dumps({"machine": machine(), "measurements": summaries}, indent=2))
    if arguments.plot:
        plot_stages(summaries, arguments.plot)
    return 0


def _overrides(options: list[str], defaults: dict[str, Any]) -> dict[str, Any]:
    from isomer.errors import InputError

    overrides = {}
    for option in options:
        name, _, value = option.partition("=")
        name = name.replace("-", "_")
        if name not in defaults:
            raise InputError(f"--against {option}: not OPTION=VALUE with one of {', '.join(defaults)}")
        try:
            overrides[name] = type(defaults[name])(value)
        except ValueError as error:
            raise InputError(f"--against {option}: {value!r} is not a number") from error
    return overrides


def _rendered(folder: Path, frames: int) -> Path:
    import numpy as np

    from isomer.data.synthetic.clip import SceneFrames, write_clip
    from isomer.data.synthetic.drawn import draw_scene

    write_clip(SceneFrames(draw_scene(np.random.default_rng(0)), frames), folder / "clip.mp4")
    return folder / "clip.mp4"


def _print(summary: dict[str, Any]) -> None:
    settings = ", ".join(f"{name} {value}" for name, value in summary["configuration"].items())
    width, height = summary["input_size"]
    print(settings)
    print(f"  network at {width}x{height}", end="")
    if summary["parameters"] is not None:
        print(f": {summary['parameters'] / 1e6:.2f} M parameters, {summary['flops'] / 1e9:.2f} GFLOPs a frame", end="")
    print()
    print(f"  {100 * summary['key_share']:.0f} % of the frames are key frames, the others interpolated")
    print(f"  {'stage':<22} {'median':>9} {'p95':>9} {'of all':>9}  ms")
    for name, value in summary["stages_ms"].items():
        mean = summary["stages_of_all_frames_ms"][name]
        print(f"  {name:<22} {value['median']:9.2f} {value['p95']:9.2f} {mean:9.2f}")
    if summary["parts_ms"]:
        print(f"  {'part of the network':<22} {'median':>9} {'p95':>9}  ms")
    for name, value in summary["parts_ms"].items():
        print(f"  {name:<22} {value['median']:9.2f} {value['p95']:9.2f}")
    print(f"  whole path: {summary['frames_per_second']:.1f} frames/s", end="")
    for name, peak in summary["peak_memory_bytes"].items():
        print(f", peak memory of the {name} {peak / 1e9:.2f} GB", end="")
    print()


def _print_ratios(first: dict[str, Any], second: dict[str, Any]) -> None:
    network = [summary["stages_ms"]["network"]["median"] for summary in (first, second)]
    path = [summary["path_ms"]["median"] for summary in (first, second)]
    print(f"second / first: network {network[1] / network[0]:.2f}, whole path {path[1] / path[0]:.2f}")

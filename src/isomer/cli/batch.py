"""Segment many videos, on this machine or a Ray cluster; run again, it goes on where it stopped.

Outputs go below OUT as the videos lie below the folder they were found in. OUT/manifest.json says what became
of each video. One that cannot be segmented fails by itself; the exit code is then 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_averaging_arguments, add_mask_arguments, add_model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="videos, folders to search, quoted patterns, or .txt files with a path a line",
    )
    parser.add_argument("-o", dest="out", type=Path, required=True, metavar="OUT", help="folder to write")
    parser.add_argument(
        "--output",
        nargs="+",
        default=["overlay"],
        metavar="KIND",
        help="what to write of each, as `isomer segment` (default: overlay)",
    )
    add_model_arguments(parser)
    add_mask_arguments(parser)
    add_averaging_arguments(parser)
    parser.add_argument(
        "--shard",
        type=int,
        default=0,
        metavar="N",
        help="split videos of more than N frames between workers; the result is the same (default: 0, never)",
    )
    parser.add_argument(
        "--address", help="of a Ray cluster, such as auto or ray://HOST:10001 (default: this machine alone)"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="(default: as many as there is room for)")
    parser.add_argument("--cpus", type=int, default=2, metavar="N", help="cores a worker (default: %(default)s)")
    parser.add_argument(
        "--retries",
        type=int,
        default=2,
        metavar="N",
        help="begin a video again whose worker died, this often (default: %(default)s)",
    )
    parser.add_argument("--retry-failed", action="store_true", help="take up again what failed in an earlier run")
    parser.add_argument("-q", "--quiet", action="store_true", help="print failures only")


def run(arguments: argparse.Namespace) -> int:
    """Segment the videos, name those that fail, and sum up."""
    import sys
    from contextlib import ExitStack

    from tqdm import tqdm

    from isomer.cluster import Record, Resources, Settings, State, segment_batch
    from isomer.cluster.inputs import Video

    bar = None
    with ExitStack() as stack:

        def start(videos: int) -> None:
            nonlocal bar
            bar = stack.enter_context(tqdm(total=videos, unit="video", disable=arguments.quiet, leave=False))

        def progress(video: Video, record: Record, left: int) -> None:
            assert bar is not None
            if record.state is State.failed:
                bar.write(f"failed: {record.error}", file=sys.stderr)
            bar.update()

        summary = segment_batch(
            arguments.inputs,
            arguments.out,
            Settings(
                outputs=tuple(dict.fromkeys(arguments.output)),
                model=arguments.model,
                size=arguments.size,
                backend=arguments.backend,
                device=arguments.device,
                threshold=arguments.threshold,
                stride=arguments.stride,
                views=arguments.views,
                smoothing=arguments.smoothing,
                shard=arguments.shard,
            ),
            Resources(arguments.address, arguments.workers, arguments.cpus, arguments.retries),
            retry_failed=arguments.retry_failed,
            started=start,
            progress=progress,
        )
    if not arguments.quiet:
        print(
            f"{summary.done} videos ({summary.frames} frames) done, {summary.skipped} done before, "
            f"{summary.failed} failed; see {summary.manifest}"
        )
    return 1 if summary.failed else 0

"""Segment many videos, on this machine or a Ray cluster; run again, it goes on where it stopped.

Outputs go below OUT as the videos lie below the folder they were found in. OUT/manifest.json says what became
of each video. One that cannot be segmented fails by itself; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from isomer.cli._options import add_json_argument, add_options, chosen, flag, report

if TYPE_CHECKING:
    from isomer.cluster import Record
    from isomer.cluster.inputs import Video

NEEDS = ("cluster", "ray")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from isomer.cluster import Resources, Settings

    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="videos, folders to search, quoted patterns, or .txt files with a path a line",
    )
    parser.add_argument("-o", dest="out", type=Path, required=True, metavar="OUT", help="folder to write")
    add_options(parser, Settings)
    add_options(parser.add_argument_group("workers"), Resources)
    parser.add_argument("--retry-failed", action="store_true", help="take up again what failed in an earlier run")
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment the videos, name those that fail, and sum up."""
    from contextlib import ExitStack

    from isomer.cluster import Resources, Settings, State, segment_batch
    from isomer.progress import Progress

    bar = None
    with ExitStack() as stack:

        def start(videos: int) -> None:
            nonlocal bar
            bar = stack.enter_context(Progress(videos, "video", shown=not arguments.quiet))

        def progress(video: Video, record: Record, left: int) -> None:
            assert bar is not None
            if record.state is State.failed:
                bar.write(f"failed: {_spelled(record, video)}")
            bar.step()

        summary = segment_batch(
            arguments.inputs,
            arguments.out,
            chosen(Settings, arguments),
            chosen(Resources, arguments),
            retry_failed=arguments.retry_failed,
            started=start,
            progress=progress,
        )
    report(
        arguments,
        f"{summary.done} videos ({summary.frames} frames) done, {summary.skipped} done before, "
        f"{summary.failed} failed; see {summary.manifest}",
        **vars(summary),
    )
    return 1 if summary.failed else 0


def _spelled(record: Record, video: Video) -> str:
    """Return why a video failed, where that is an argument spelled as here: `clip.mp4: --keep 9: no such object`."""
    name = f"{video.path}: "
    error = str(record.error).removeprefix(name)
    return name + re.sub(r"^(\w+)=", lambda found: f"{flag(found[1])} ", error)

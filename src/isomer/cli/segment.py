"""Segment the primary object of a video: overlay, masks, cut-out.

With nothing but a video it writes an overlay next to it: clip.mp4 gives clip_overlay.mp4. `isomer batch` takes several
videos.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_json_argument, add_options, chosen, report
from isomer.options import VideoOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("input", type=Path, metavar="INPUT", help="a video file, a folder of images, or a project")
    parser.add_argument(
        "-o", dest="out", type=Path, metavar="OUT", help="file or folder to write (default: next to INPUT)"
    )
    add_options(parser, VideoOptions)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment the video and say what was written."""
    from isomer.segment import segment_video

    options = chosen(VideoOptions, arguments)
    summary = segment_video(arguments.input, arguments.out, **options.of(VideoOptions), progress=not arguments.quiet)
    rate = summary.frames / summary.seconds
    written = ", ".join(map(str, summary.outputs))
    report(
        arguments,
        f"{summary.frames} frames in {summary.seconds:.1f} s ({rate:.1f} frames/s): wrote {written}",
        **vars(summary),
    )
    return 0

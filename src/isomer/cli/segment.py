"""Segment the primary object of a video: overlay, masks, cut-out.

With nothing but a video it writes an overlay next to it: clip.mp4 gives clip_overlay.mp4.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_flow_argument, add_mask_arguments, add_model_arguments, add_quality_arguments

_OUTPUTS = (
    "overlay",
    "mask",
    "masks",
    "probabilities",
    "cutout",
    "cutouts",
    "prores",
    "gif",
    "webp",
    "zip",
    "palette",
    "coco",
    "youtube-vis",
    "polygons",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("input", type=Path, metavar="INPUT", help="a video file, or a folder of images")
    parser.add_argument(
        "-o", dest="out", type=Path, metavar="OUT", help="file or folder to write (default: next to INPUT)"
    )
    parser.add_argument(
        "--output",
        nargs="+",
        choices=_OUTPUTS,
        default=["overlay"],
        metavar="KIND",
        help=f"one or several of {', '.join(_OUTPUTS)} (default: overlay)",
    )
    add_model_arguments(parser)
    add_flow_argument(parser)
    add_mask_arguments(parser)
    add_quality_arguments(parser)
    parser.add_argument(
        "--objects",
        action="store_true",
        help="tell objects apart in overlays, previews, palette, coco, youtube-vis and polygons",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar and no last line")


def run(arguments: argparse.Namespace) -> int:
    """Segment the video and say what was written."""
    from isomer.flow import create_flow
    from isomer.segment import segment_video

    summary = segment_video(
        arguments.input,
        arguments.out,
        outputs=arguments.output,
        model=arguments.model,
        size=arguments.size,
        backend=arguments.backend,
        device=arguments.device,
        flow=create_flow(arguments.flow),
        threshold=arguments.threshold,
        stride=arguments.stride,
        key_interval=arguments.key_interval,
        views=arguments.views,
        smoothing=arguments.smoothing,
        objects=arguments.objects,
        progress=not arguments.quiet,
    )
    if not arguments.quiet:
        rate = summary.frames / summary.seconds
        written = ", ".join(str(path) for path in summary.outputs)
        print(f"{summary.frames} frames in {summary.seconds:.1f} s ({rate:.1f} frames/s): wrote {written}")
    return 0

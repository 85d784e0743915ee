"""Convert finished masks from one format to another.

INPUT is a folder or zip of images (gray, palette or cut-outs), a video of masks or cut-outs, or COCO or
YouTube-VIS JSON. The suffix of OUTPUT names its format: .mp4 or .mkv a mask video, .zip binary PNGs, .json
YouTube-VIS, none a folder of binary PNGs; --to names any other. Overlays, cut-outs and previews need the video as
well.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

from isomer.cli._options import add_options, chosen, report
from isomer.options import Look


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("input", type=Path, metavar="INPUT", help="the masks")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="file or folder to write")
    parser.add_argument("--to", metavar="KIND", help="a kind of output of `isomer segment`, such as palette")
    parser.add_argument("--video", type=Path, help="the video or folder of images that the masks are of")
    parser.add_argument(
        "--fps",
        type=_rate,
        default=Fraction(24),
        help="frame rate of masks that state none, as 25 or 30000/1001 (default: %(default)s)",
    )
    add_options(parser, Look)


def _rate(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text} is no number, as 25 or 30000/1001") from None


def run(arguments: argparse.Namespace) -> int:
    """Convert and say what was written."""
    from isomer.media.convert import convert_masks

    count = convert_masks(
        arguments.input,
        arguments.output,
        arguments.to,
        video=arguments.video,
        fps=arguments.fps,
        look=chosen(Look, arguments),
    )
    report(arguments, f"{count} frames: wrote {arguments.output}")
    return 0

"""Convert finished masks from one format to others.

INPUT is a folder or zip of images (gray, palette or cut-outs), a video of masks or cut-outs, COCO or YouTube-VIS
JSON, or CVAT's XML, such as what was corrected in another tool. The suffix of OUT names its format: .mp4 or .mkv a mask
video, .zip binary PNGs, .json YouTube-VIS, .xml CVAT, none a folder of binary PNGs, .isomer.json a project, of which
segment writes; --output names any. Overlays, cut-outs, previews and projects need the video as well.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

from isomer.cli._options import add_options, add_output_argument, chosen, report
from isomer.options import Adjustments, VideoOptions, options_of

_OF_VIDEO = ("background", "fit", "premultiplied", "audio", "max_pixels")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("input", type=Path, metavar="INPUT", help="the masks")
    parser.add_argument(
        "-o",
        dest="out",
        type=Path,
        metavar="OUT",
        help="file or folder to write, for several kinds the folder (default: next to the video, or else to INPUT)",
    )
    add_output_argument(parser, (), "one or several kinds of output (default: the one that the suffix of OUT says)")
    parser.add_argument("--video", type=Path, help="the video or folder of images that the masks are of")
    parser.add_argument(
        "--fps",
        type=_rate,
        default=Fraction(24),
        help="frame rate of masks that state none, as 25 or 30000/1001 (default: %(default)s)",
    )
    add_options(parser, VideoOptions, only=(*options_of(Adjustments), *_OF_VIDEO))


def _rate(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text} is no number, as 25 or 30000/1001") from None


def run(arguments: argparse.Namespace) -> int:
    """Convert and say what was written."""
    from isomer.errors import InputError
    from isomer.media.convert import convert_masks
    from isomer.segment.objects.project import is_project, keep_masks

    if is_project(arguments.input):
        raise InputError(f"{arguments.input}: a project, of which isomer segment writes outputs")
    if arguments.out is not None and is_project(arguments.out):
        if arguments.outputs or arguments.video is None:
            raise InputError(f"{arguments.out}: a project is made of masks and their --video, and of nothing else")
        options = VideoOptions(threshold=chosen(Adjustments, arguments).threshold)
        count = keep_masks(arguments.input, arguments.video, arguments.out, options, arguments.fps)
        report(arguments, f"{count} frames: wrote {arguments.out}")
        return 0
    converted = convert_masks(
        arguments.input,
        arguments.out,
        outputs=arguments.outputs,
        video=arguments.video,
        fps=arguments.fps,
        adjustments=chosen(Adjustments, arguments),
        **{name: getattr(arguments, name) for name in _OF_VIDEO},
    )
    report(arguments, f"{converted.frames} frames: wrote {', '.join(map(str, converted.outputs))}")
    return 0

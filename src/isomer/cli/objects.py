"""List the objects of a video: their numbers, when they are in sight, and how large they are.

`isomer segment --keep` and `--drop` take these numbers. INPUT may also be a project, see `isomer correct`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_json_argument, add_options, chosen, report
from isomer.options import Options, VideoOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument(
        "input", type=Path, metavar="INPUT", help="a video file, a folder of images, or a project (.isomer.json)"
    )
    parser.add_argument(
        "-o",
        dest="out",
        type=Path,
        metavar="PROJECT",
        help="keep what was found in a project, clip.isomer.json, from which segment writes without finding it again",
    )
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw a contact sheet of the objects")
    add_options(parser, Options, without=("edges",))
    add_options(parser, VideoOptions, only=("threshold", "stride", "max_pixels"))
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Find the objects and print them."""
    from dataclasses import asdict

    from isomer.segment.objects.project import list_objects

    options = chosen(VideoOptions, arguments)
    objects = list_objects(arguments.input, options, arguments.out, arguments.sheet, progress=not arguments.quiet)
    head = f"{'object':>6}  {'from':>8}  {'to':>8}  {'frames':>6}  {'of the frame':>12}  clearest in frame"
    lines = [
        f"{one.number:>6}  {one.start:>6.1f} s  {one.end:>6.1f} s  {one.frames:>6}  {100 * one.area:>10.1f} %  "
        f"{one.clearest:>17}"
        for one in objects
    ]
    report(arguments, "\n".join([head, *lines]) if lines else "no object was found", objects=[*map(asdict, objects)])
    return 0

"""Correct what was found in a video, in the project that `isomer objects -o` wrote.

What is said of a frame overrides what was found there, and fades in the frames around. `isomer segment PROJECT` then
writes outputs, without finding anything again. X, Y and sizes are shares of the frame; T is seconds, such as 3.2s, or a
frame's number, such as 80.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_json_argument, add_max_pixels, max_pixels_of, report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("project", type=Path, metavar="PROJECT", help="clip.isomer.json")
    parser.add_argument("--add", nargs="+", default=[], metavar="X,Y@T", help="points that are of the object")
    parser.add_argument("--remove", nargs="+", default=[], metavar="X,Y@T", help="points that are not")
    parser.add_argument(
        "--box", nargs="+", default=[], metavar="X,Y,W,H@T", help="boxes beyond which the object does not reach"
    )
    parser.add_argument(
        "--mask", nargs="+", default=[], metavar="PNG@T", help="painted masks of the object, white on black"
    )
    parser.add_argument(
        "--object",
        type=int,
        metavar="N",
        help="the object that is meant, the number after the last for a new one (default: the nearest)",
    )
    parser.add_argument("--undo", action="store_true", help="take the last correction back")
    add_max_pixels(parser)
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Change the project."""
    from isomer.segment.objects.marks import corrections_of
    from isomer.segment.objects.project import correct, read_project

    before = read_project(arguments.project)
    marks = {kind: getattr(arguments, kind) for kind in ("add", "remove", "box", "mask")}
    max_pixels = max_pixels_of(arguments)
    corrections = corrections_of(before.moments, **marks, number=arguments.object, max_pixels=max_pixels)
    project = correct(arguments.project, corrections, undo=arguments.undo)
    count = len(project.corrections)
    said = f"{count} correction{'s' * (count != 1)}"
    known = {*(one.number for one in before.objects), *(one.number for one in before.corrections)}
    if arguments.object not in {None, *known}:
        said += f"; object {arguments.object} is new"
    report(arguments, f"{arguments.project}: {said}", project=arguments.project, corrections=count)
    return 0

"""Turn a dataset as downloaded into the layout that training reads, with optical flow.

Videos become OUT/<sequence>/{frames,masks,flow}; with --stills, images become OUT/{images,masks}. What is there
is left alone, so an interrupted run goes on where it stopped, and OUT may be IN to add flow to sequences of this
layout. Unreadable sequences are named and left out (exit code 1).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_max_pixels, max_pixels_of, report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("input", type=Path, metavar="IN", help="the dataset's folder")
    parser.add_argument("output", type=Path, metavar="OUT", help="the folder to write")
    parser.add_argument(
        "--layout",
        help="isomer, davis, davis-full, youtube-vos, segtrack-v2, davsod, vsod, fbms, or FRAMES:MASKS with "
        "{sequence} in both (default: recognised)",
    )
    parser.add_argument(
        "--stills",
        metavar="IMAGES:MASKS",
        help="still images: the two folders below IN, as DUTS-TR-Image:DUTS-TR-Mask",
    )
    parser.add_argument("--split", type=Path, metavar="FILE", help="only the sequences it names")
    parser.add_argument(
        "--background",
        type=int,
        nargs="+",
        default=[0],
        metavar="L",
        help="mask levels of background (default: 0)",
    )
    parser.add_argument(
        "--unknown",
        type=int,
        nargs="+",
        default=[128],
        metavar="L",
        help="mask levels not to judge (default: 128)",
    )
    parser.add_argument(
        "--flow", choices=("dis", "raft", "none"), default="dis", help="how optical flow is estimated (default: dis)"
    )
    parser.add_argument(
        "--steps",
        type=int,
        nargs="+",
        default=[1],
        metavar="N",
        help="flow from each frame to those N frames on, in flow, flow_2, flow_3, ... (default: 1)",
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    add_max_pixels(parser)


def run(arguments: argparse.Namespace) -> int:
    """Convert, show progress, and sum up."""
    from isomer.data.prepare import prepare_sequences, prepare_stills, read_split
    from isomer.data.sequences import Levels, find_sequences
    from isomer.errors import InputError
    from isomer.progress import Progress

    if arguments.jobs < 1 or not all(0 <= level <= 255 for level in arguments.background + arguments.unknown):
        raise InputError("--jobs must be 1 or more, and levels 0 to 255")
    if min(arguments.steps) < 1:
        raise InputError("--steps: must be 1 or more")
    max_pixels = max_pixels_of(arguments)
    if arguments.stills:
        images, colon, masks = arguments.stills.partition(":")
        if not colon:
            raise InputError(f"--stills {arguments.stills}: write IMAGES:MASKS, two folders below {arguments.input}")
        folders = arguments.input / images, arguments.input / masks, arguments.output
        results = prepare_stills(*folders, arguments.jobs, max_pixels)
        total = None
    else:
        levels = Levels(tuple(arguments.background), tuple(arguments.unknown))
        sequences = find_sequences(arguments.input, arguments.layout, levels)
        if arguments.split:
            wanted = read_split(arguments.split)
            missing = set(wanted) - {sequence.name for sequence in sequences}
            if missing:
                raise InputError(
                    f"{arguments.split}: names {min(missing)}, which {arguments.input} has not; complete it"
                )
            sequences = [sequence for sequence in sequences if sequence.name in wanted]
        flow = None if arguments.flow == "none" else arguments.flow
        steps = sorted(set(arguments.steps))
        results = prepare_sequences(sequences, arguments.output, flow, steps, arguments.jobs, max_pixels)
        total = len(sequences)

    done = []
    with Progress(total, "item", shown=not arguments.quiet) as progress:
        for item in results:
            done.append(item)
            progress.step()
    bad = [item for item in done if item.error]
    new = [item for item in done if item.frames]
    for item in bad:
        print(f"left out {item.name}: {item.error}")
    frames, masks, flows, odd = (sum(getattr(i, n) for i in done) for n in ("frames", "masks", "flows", "odd_masks"))
    there = len(done) - len(new) - len(bad)
    items = f"{len(new)} written, {there} there before, {len(bad)} left out"
    report(arguments, f"{items}: {frames} frames, {masks} masks, {flows} flows")
    if odd:
        print(f"{odd} masks have levels beside 0 and 255, which count as object; see --background and --unknown")
    if new and sum(item.object_share for item in new) / len(new) > 0.6:
        print("objects cover more than 60 % of the masks; is their background another level? see --background")
    return 1 if bad else 0

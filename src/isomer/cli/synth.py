"""Render synthetic scenes: a video, or sequences of frames with masks and exact optical flow.

An OUT that ends in .mp4 becomes one video; any other is a folder that gets COUNT sequences, `00000`, `00001`
and so on, each with `frames`, `masks` and `flow` (16-bit KITTI PNGs). Without --cutouts the scene is drawn: a
car in a landscape. With --cutouts and --backgrounds scenes are those that training draws.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("output", type=Path, metavar="OUT", help="an .mp4 to write, or a folder")
    parser.add_argument(
        "--cutouts",
        nargs="+",
        type=Path,
        default=[],
        metavar="FOLDER",
        help="folders with `images` and `masks`",
    )
    parser.add_argument(
        "--backgrounds", nargs="+", type=Path, default=[], metavar="FOLDER", help="folders of photographs"
    )
    parser.add_argument("--size", default="854x480", metavar="WxH", help="size of the frames (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=72, help="frames a video (default: %(default)s)")
    parser.add_argument("--count", type=int, default=1, help="number of sequences (default: %(default)s)")
    parser.add_argument("--masks", type=Path, metavar="MP4", help="write the mask of the video here")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Render and write."""
    import numpy as np

    from isomer.data.synthetic.clip import SceneFrames, write_clip, write_sequence
    from isomer.data.synthetic.cutouts import SceneSampler
    from isomer.data.synthetic.drawn import draw_scene
    from isomer.errors import InputError
    from isomer.progress import Progress

    size = _size(arguments.size)
    if arguments.frames < 1 or arguments.count < 1:
        raise InputError("--frames and --count: must be 1 or more")
    if bool(arguments.cutouts) != bool(arguments.backgrounds):
        raise InputError("--cutouts and --backgrounds: give both, or neither for a drawn scene")
    sampler = SceneSampler.from_folders(arguments.cutouts, arguments.backgrounds) if arguments.cutouts else None
    is_video = arguments.output.suffix == ".mp4"
    if is_video and arguments.count > 1:
        raise InputError(f"{arguments.output}: holds one scene; name a folder for --count {arguments.count}")
    if arguments.masks and not is_video:
        raise InputError("--masks: goes with an OUT that ends in .mp4; a folder has its masks already")
    with Progress(arguments.count, "sequence", shown=arguments.count > 1 and not arguments.quiet) as progress:
        for number in range(arguments.count):
            rng = np.random.default_rng((arguments.seed, number))
            scene = sampler(rng, size) if sampler else draw_scene(rng, size)
            frames = SceneFrames(scene, arguments.frames)
            if is_video:
                write_clip(frames, arguments.output, arguments.masks)
            else:
                write_sequence(frames, arguments.output / f"{number:05d}")
            progress.step()
    report(arguments, f"wrote {arguments.output}")
    return 0


def _size(text: str) -> tuple[int, int]:
    from isomer.errors import InputError

    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 16):
        raise InputError(f"--size {text}: not WIDTHxHEIGHT with sides of 16 or more; give for instance 854x480")
    return int(width), int(height)

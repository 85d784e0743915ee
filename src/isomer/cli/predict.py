"""Write the saliency maps of a whole dataset, to be evaluated.

The dataset is laid out as DAVIS, YouTube-VOS, FBMS, DAVSOD or <sequence>/<frame>.jpg. Every sequence gives
OUT/<sequence>/<frame>.png, 8-bit gray. Run it again after an interruption: what is finished is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder of the dataset")
    parser.add_argument("-o", dest="out", type=Path, required=True, metavar="OUT", help="folder to write")
    parser.add_argument(
        "--model",
        default="isomer_mobilenet_v2",
        help="a model's name or a checkpoint file (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=int,
        default=384,
        help="the network sees about SIZE x SIZE pixels (default: %(default)s)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Predict sequence by sequence, a line each."""
    from isomer.segment import Segmenter
    from isomer.segment.dataset import predict_dataset

    segmenter = Segmenter(arguments.model, size=arguments.size, device=arguments.device)
    settings = {"model": str(arguments.model), "size": arguments.size}
    for done in predict_dataset(arguments.dataset, arguments.out, segmenter, settings):
        state = "already done" if done.skipped else "written"
        print(f"{done.name}: {done.frames} maps {state} in {done.folder}", flush=True)
    return 0

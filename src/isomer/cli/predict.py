"""Write the saliency maps of a whole dataset, to be evaluated.

The dataset is laid out as DAVIS, YouTube-VOS, FBMS, DAVSOD or <sequence>/<frame>.jpg. Every sequence gives
OUT/<sequence>/<frame>.png, 8-bit gray. Run it again after an interruption: what is finished is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_json_argument, add_options, chosen, report
from isomer.options import Options, VideoOptions, options_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder of the dataset")
    parser.add_argument("-o", dest="out", type=Path, required=True, metavar="OUT", help="folder to write")
    parser.add_argument(
        "--sequences",
        nargs="+",
        default=[],
        metavar="NAME",
        help="predict only these: names, a file with one a line, or davis16-val (default: all)",
    )
    add_options(parser, VideoOptions, only=(*options_of(Options), "max_pixels"))  # it writes maps of all frames
    add_json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict sequence by sequence, a line each."""
    import hashlib

    from isomer.model.weights import find_checkpoint
    from isomer.segment import Segmenter
    from isomer.segment.dataset import check_dataset, predict_dataset

    options = chosen(VideoOptions, arguments)
    weights = find_checkpoint(str(options.settled.model))
    settings = options.of(Options) | {"weights": weights and hashlib.sha256(weights.read_bytes()).hexdigest()}
    for name in ("ahead", "quality"):  # no map depends on them, as the other settings say all
        del settings[name]
    check_dataset(arguments.dataset, arguments.out, settings, arguments.sequences)
    segmenter = Segmenter(**options.of(Options))
    sequences = []
    for done in predict_dataset(
        arguments.dataset, arguments.out, segmenter, settings, arguments.sequences, options.max_pixels
    ):
        sequences.append(vars(done))
        if not (arguments.quiet or arguments.json):
            state = "already done" if done.skipped else "written"
            print(f"{done.name}: {done.frames} maps {state} in {done.folder}", flush=True)
    frames = sum(sequence["frames"] for sequence in sequences)
    report(arguments, f"{frames} maps of {len(sequences)} sequences in {arguments.out}", sequences=sequences)
    return 0

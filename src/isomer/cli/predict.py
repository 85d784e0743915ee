"""Write the saliency maps of a whole dataset, to be evaluated.

The dataset is laid out as DAVIS, YouTube-VOS, FBMS, DAVSOD or <sequence>/<frame>.jpg. Every sequence gives
OUT/<sequence>/<frame>.png, 8-bit gray. Run it again after an interruption: what is finished is kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_flow_argument, add_model_arguments, add_quality_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder of the dataset")
    parser.add_argument("-o", dest="out", type=Path, required=True, metavar="OUT", help="folder to write")
    add_model_arguments(parser)
    add_flow_argument(parser)
    add_quality_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict sequence by sequence, a line each."""
    import hashlib

    from isomer.flow import create_flow
    from isomer.model.weights import find_checkpoint
    from isomer.segment import Segmenter
    from isomer.segment.dataset import check_dataset, predict_dataset

    flow = create_flow(arguments.flow)
    weights = find_checkpoint(arguments.model)
    settings = {
        "model": arguments.model,
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest() if weights else None,
        "size": arguments.size,
        "backend": arguments.backend,
        "device": arguments.device,
        "flow": arguments.flow,
        "key_interval": arguments.key_interval,
        "views": arguments.views,
        "smoothing": arguments.smoothing,
    }
    check_dataset(arguments.dataset, arguments.out, settings)
    segmenter = Segmenter(
        arguments.model,
        size=arguments.size,
        backend=arguments.backend,
        device=arguments.device,
        flow=flow,
        key_interval=arguments.key_interval,
        views=arguments.views,
        smoothing=arguments.smoothing,
    )
    for done in predict_dataset(arguments.dataset, arguments.out, segmenter, settings):
        state = "already done" if done.skipped else "written"
        print(f"{done.name}: {done.frames} maps {state} in {done.folder}", flush=True)
    return 0

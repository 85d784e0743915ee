"""Make a trained network smaller and faster: leave out hidden channels that the others can stand in for.

CONFIG is a recipe of `isomer train`, on whose samples the channels are measured; KEY=VALUE overrides an entry. No
gradient is taken: what is left is fitted by least squares. See docs/training.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import TRAINING, add_recipe_arguments, report

NEEDS = TRAINING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_recipe_arguments(parser)
    parser.add_argument("--model", type=Path, required=True, metavar="FILE", help="the weights, such as a run's best")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the .safetensors to write")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=0.01,
        help="share of the variance of a block's output that may be lost (default: %(default)s)",
    )
    parser.add_argument(
        "--batches", type=int, default=40, metavar="N", help="the recipe's first N batches count (default: %(default)s)"
    )
    parser.add_argument(
        "--part",
        action="append",
        metavar="NAME",
        help="prune this module only, such as backbone_y or fusion_module0; may be repeated "
        "(default: all but the frame's encoder, backbone_x)",
    )
    parser.add_argument("--half", action="store_true", help="store kernels and matrices as float16")


def run(arguments: argparse.Namespace) -> int:
    """Prune, and say what is left."""
    from isomer.errors import InputError
    from isomer.model.checkpoint import load_checkpoint, read_metadata, save_model
    from isomer.train.config import load_config
    from isomer.train.pruning import prune, recipe_inputs

    if not 0 <= arguments.tolerance < 1:
        raise InputError(f"--tolerance {arguments.tolerance}: must be in [0, 1)")
    if arguments.batches < 1:
        raise InputError("--batches: must be 1 or more")
    if arguments.output.suffix != ".safetensors":
        raise InputError(f"{arguments.output}: must end in .safetensors")
    config = load_config(arguments.config, arguments.overrides)
    model = load_checkpoint(arguments.model)
    inputs = recipe_inputs(config, model, arguments.batches)
    pruned = prune(model, inputs, arguments.tolerance, arguments.part)
    parts = f", {' '.join(arguments.part)}" if arguments.part else ""
    how = f"tolerance {arguments.tolerance}, {arguments.batches} batches, seed {config.seed}{parts}"
    metadata = read_metadata(arguments.model) | {"pruned": how}
    save_model(pruned, arguments.output, metadata, half=arguments.half)
    before, after = (sum(p.numel() for p in network.parameters()) for network in (model, pruned))
    report(arguments, f"{before:,} parameters became {after:,}: wrote {arguments.output}")
    return 0

"""Train a network from a recipe, a YAML file such as configs/isomer_mobilenet_v2_stage1.yaml.

KEY=VALUE overrides an entry: isomer train configs/isomer_mobilenet_v2_stage1.yaml data.root=data optimizer.steps=200
Ctrl-C writes a checkpoint; --resume goes on from it exactly. See docs/training.md.
"""

from __future__ import annotations

import argparse

from isomer.cli._options import TRAINING, add_recipe_arguments

NEEDS = TRAINING


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_recipe_arguments(parser)
    parser.add_argument("--resume", action="store_true", help="go on from last.pt in the run's folder")
    parser.add_argument(
        "--dry-run", action="store_true", help="print parameters, data, steps and memory, and do nothing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, or describe what would be trained."""
    from isomer.train.allocator import keep_freed_memory
    from isomer.train.config import load_config
    from isomer.train.dry_run import describe
    from isomer.train.loop import train

    config = load_config(arguments.config, arguments.overrides)
    if arguments.dry_run:
        for line in describe(config):
            print(line)
        return 0
    keep_freed_memory()
    if train(config, resume=arguments.resume):
        return 0
    print(f"stopped; isomer train --resume goes on from {config.output / 'last.pt'}")
    return 130

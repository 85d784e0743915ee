"""Options that several verbs share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what segments: --model, --size, --backend and --device."""
    parser.add_argument(
        "--model", default="isomer_mobilenet_v2", help="a model's name or a checkpoint file (default: %(default)s)"
    )
    parser.add_argument(
        "--size", type=int, default=384, help="the network sees about SIZE x SIZE pixels (default: %(default)s)"
    )
    parser.add_argument("--backend", default="auto", help="auto, torch, openvino or onnx (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)")


def add_flow_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --flow."""
    parser.add_argument(
        "--flow", default="dis", help="what estimates the motion: dis, or raft, slower (default: %(default)s)"
    )


def add_key_interval_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --key-interval."""
    parser.add_argument(
        "--key-interval",
        type=int,
        default=6,
        metavar="N",
        help="the network sees every N-th frame at least, more where more moves; maps between are interpolated along "
        "the flow; 1 shows it every frame (default: %(default)s)",
    )


def add_quality_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what trades quality for time: --key-interval, --views and --smoothing."""
    add_key_interval_argument(parser)
    add_averaging_arguments(parser)


def add_averaging_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --views and --smoothing."""
    parser.add_argument(
        "--views",
        type=int,
        default=1,
        metavar="N",
        help="average the maps of N views of a frame, 1, 2 or 4: mirrored, and with the flow from behind; "
        "the network takes N times as long for it (default: %(default)s)",
    )
    parser.add_argument(
        "--smoothing",
        type=float,
        default=1.0,
        metavar="WEIGHT",
        help="weight of the maps of both neighbours, moved along the flow, in that of a frame that the network sees; "
        "its own has 1; 0 leaves it alone (default: %(default)s)",
    )


def add_mask_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how frames become masks: --threshold and --stride."""
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        help="probability from which on a pixel is of the object (default: %(default)s)",
    )
    parser.add_argument(
        "--stride", type=int, default=1, metavar="N", help="take every N-th frame (default: %(default)s)"
    )


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare a recipe and what overrides it: CONFIG and KEY=VALUE."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the recipe")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="entries to override, dots between keys")


def require_training(verb: str) -> None:
    """Raise MissingPackageError if a package of the `train` extra is not installed."""
    from isomer.errors import require

    require(f"isomer {verb}", "train", "torch", "safetensors", "lightning_fabric", "pydantic", "yaml", "tensorboard")

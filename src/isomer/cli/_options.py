"""Options that several verbs share."""

from __future__ import annotations

import argparse


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

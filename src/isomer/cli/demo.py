"""Open a web page that segments videos, on this machine alone.

Drop a video and watch the mask next to it, change the threshold, download the result. Nothing leaves the
machine, and nothing is kept after Ctrl-C.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from isomer.serve.limits import add_limit_arguments, limits_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--port", type=int, default=0, help="port of the page (default: any that is free)")
    parser.add_argument("--no-browser", action="store_true", help="only say the page's address")
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
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)"
    )
    add_limit_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until interrupted."""
    from isomer.serve.server import serve
    from isomer.serve.tasks import ModelOptions

    with tempfile.TemporaryDirectory(prefix="isomer-demo-") as folder:
        serve(
            Path(folder),
            port=arguments.port,
            limits=limits_from(arguments),
            options=ModelOptions(arguments.model, arguments.size, arguments.device),
            opens_browser=not arguments.no_browser,
        )
    return 0

"""Open a web page that segments videos, on this machine alone.

Drop a video and watch the mask next to it, change the threshold, download the result. Nothing leaves the
machine, and nothing is kept after Ctrl-C.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from isomer.cli._options import add_server_options, chosen
from isomer.options import VideoOptions
from isomer.serve.options import Limits

_WEEK = 604_800


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--port", type=int, default=0, help="port of the page (default: any that is free)")
    parser.add_argument("--no-browser", action="store_true", help="only say the page's address")
    # Of one's own machine, as much as it can do: any length, and a page that may stay open for a day.
    add_server_options(
        parser,
        frames=10**9,
        upload_mib=2**18,
        upload_seconds=_WEEK,
        job_seconds=_WEEK,
        retention_seconds=86_400,
        storage_mib=2**20,
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until interrupted."""
    from isomer.serve.server import serve

    limits, options = chosen(Limits, arguments), chosen(VideoOptions, arguments)
    with tempfile.TemporaryDirectory(prefix="isomer-demo-") as folder:
        serve(
            Path(folder),
            port=arguments.port,
            limits=limits,
            options=options,
            opens_browser=not arguments.no_browser,
        )
    return 0

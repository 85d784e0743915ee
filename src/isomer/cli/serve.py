"""Serve the HTTP API and the page: videos in, masks, overlays and cut-outs out.

Binds to this machine alone unless told otherwise. What it answers is in docs/server.md and, while it runs,
under /openapi.json. Jobs and their files are kept in the folder of --data, also over a restart, until they
expire.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from isomer.cli._options import add_server_options, chosen
from isomer.options import VideoOptions
from isomer.serve.options import Limits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to bind, 0 any (default: %(default)s)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("isomer-jobs"),
        metavar="FOLDER",
        help="keeps jobs (default: %(default)s)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="holds the token that clients must send (default: the variable ISOMER_TOKEN, or none)",
    )
    parser.add_argument(
        "--name", nargs="+", default=[], metavar="HOST", help="names to answer under, such as that of a proxy"
    )
    parser.add_argument(
        "--root-path", default="", metavar="PATH", help="where a proxy publishes this server, such as /isomer"
    )
    parser.add_argument(
        "--forwarded-allow-ips",
        nargs="+",
        default=[],
        metavar="ADDRESS",
        help="addresses or networks of proxies whose X-Forwarded-For, -Proto and -Host are believed (default: none)",
    )
    add_server_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from isomer.serve.server import serve

    serve(
        arguments.data,
        host=arguments.host,
        port=arguments.port,
        token=_token(arguments.token_file),
        names=arguments.name,
        root_path=arguments.root_path,
        forwarded_allow_ips=arguments.forwarded_allow_ips,
        limits=chosen(Limits, arguments),
        options=chosen(VideoOptions, arguments),
    )
    return 0


def _token(file: Path | None) -> str | None:
    from isomer.errors import InputError

    if file is None:
        return os.environ.get("ISOMER_TOKEN") or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read; give a text file with the token") from error
    if not token:
        raise InputError(f"{file}: is empty; write the token into it")
    return token

"""Running the application."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
import threading
import warnings
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from isomer.errors import ArgumentError, InputError, reason, require
from isomer.options import VideoOptions
from isomer.serve.options import Limits

_PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")
_ROOT_PATH = re.compile(r"(/[\w.~-]+)+")


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    names: Sequence[str] = (),
    root_path: str = "",
    forwarded_allow_ips: Sequence[str] = (),
    limits: Limits,
    options: VideoOptions,
    opens_browser: bool = False,
) -> None:
    """Serve until interrupted.

    Args:
        folder: keeps the jobs.
        host: the address to bind.
        port: the port to bind; 0 takes any that is free.
        token: what clients must send, or None.
        names: further host names to answer under; see `isomer.serve.app.create_app`.
        root_path: the path below which a proxy publishes the server, such as `/isomer`.
        forwarded_allow_ips: addresses and networks of proxies, whose X-Forwarded-For, -Proto and -Host are believed.
        limits: what is taken.
        options: how it segments; see `isomer.serve.queue.JobQueue`.
        opens_browser: open the page in the browser.

    Raises:
        InputError: the extra is missing, an argument is no good, the port is taken, the folder cannot be used, or no
            such model.
    """
    require("the server", "serve", *_PACKAGES)
    import uvicorn

    from isomer.serve.app import create_app
    from isomer.serve.connection import configured
    from isomer.serve.guard import LOOPBACK
    from isomer.serve.proxy import networks
    from isomer.serve.queue import JobQueue

    root_path = root_path.rstrip("/")
    if root_path and not _ROOT_PATH.fullmatch(root_path):
        raise ArgumentError("root_path", root_path, "no path; give it as /isomer")
    proxies = networks(forwarded_allow_ips)
    is_local = host in LOOPBACK
    if not is_local and token is None:
        warnings.warn(f"{host}: others on the network may use this server; give it a token", stacklevel=2)
    with _bound(host, port) as bound:
        queue = JobQueue(folder, limits, options)
        app = create_app(queue, token=token, is_local=is_local, names=names, root_path=root_path, proxies=proxies)
        config = configured(app, limits.connections)
        url = f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"

        async def run() -> None:
            try:
                await queue.load()
            except InputError:
                await queue.stop()
                raise
            print(f"serving on {url} (Ctrl-C stops)", flush=True)
            if opens_browser:  # it can connect: the socket listens already
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
            await uvicorn.Server(config).serve(sockets=[bound])

        # So that folders which are only for this run are removed.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with suppress(KeyboardInterrupt):
            asyncio.run(run())


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise InputError(f"{host}, port {port}: cannot be bound ({reason(error)}); choose another") from error

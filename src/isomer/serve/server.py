"""Running the application."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import warnings
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from isomer.errors import InputError, require
from isomer.options import VideoOptions
from isomer.serve.options import Limits

_PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def serve(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    names: Sequence[str] = (),
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
        limits: what is taken.
        options: how it segments; see `isomer.serve.queue.JobQueue`.
        opens_browser: open the page in the browser.

    Raises:
        InputError: the extra is missing, the port is taken, the folder cannot be used, or no such model.
    """
    require("the server", "serve", *_PACKAGES)
    import uvicorn

    from isomer.serve.app import create_app
    from isomer.serve.connection import configured
    from isomer.serve.guard import LOOPBACK
    from isomer.serve.queue import JobQueue

    is_local = host in LOOPBACK
    if not is_local and token is None:
        warnings.warn(f"{host}: others on the network may use this server; give it a token", stacklevel=2)
    with _bound(host, port) as bound:
        queue = JobQueue(folder, limits, options)
        config = configured(create_app(queue, token=token, is_local=is_local, names=names), limits.connections)
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
        raise InputError(f"{host}, port {port}: cannot be bound ({error}); choose another") from error

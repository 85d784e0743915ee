"""What a reverse proxy says of the client: believed of proxies that are named, and of nobody else."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from isomer.errors import ArgumentError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SCHEMES = ("http", "https")


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Parse addresses and networks of proxies.

    Raises:
        ArgumentError: one is neither.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            raise ArgumentError(
                "forwarded_allow_ips", text, "neither an address nor a network; as 10.0.0.5 or 10.0.0.0/8"
            ) from None
    return tuple(found)


class BehindProxy:
    """Gives requests the client, scheme and host that a proxy forwards, and the path below which it publishes the app.

    Args:
        app: is served.
        root_path: as `/isomer`, or nothing; the proxy may pass it on or take it off.
        proxies: whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host are believed.
    """

    def __init__(self, app: ASGIApp, root_path: str, proxies: Sequence[Network]) -> None:
        self._app = app
        self._root_path = root_path
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "http":
            path = scope["path"]
            is_below = path == self._root_path or path.startswith(f"{self._root_path}/")
            scope = {**scope, "root_path": self._root_path, "path": path if is_below else self._root_path + path}
            if scope["client"] is not None and self._is_proxy(scope["client"][0]):
                self._believe(scope)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope) -> None:
        """Take what the proxy said itself, which is the last of a list: the rest came with the request."""
        headers = Headers(scope=scope)
        clients, schemes, hosts = (_listed(headers, f"x-forwarded-{what}") for what in ("for", "proto", "host"))
        if clients:
            scope["client"] = (next((c for c in reversed(clients) if not self._is_proxy(c)), clients[0]), 0)
        if schemes and schemes[-1] in _SCHEMES:
            scope["scheme"] = schemes[-1]
        if hosts:
            scope["headers"] = list(scope["headers"])
            MutableHeaders(scope=scope)["host"] = hosts[-1]

    def _is_proxy(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)  # of a socket that takes both
        return any((mapped or parsed) in network for network in self._proxies)


def _listed(headers: Headers, name: str) -> list[str]:
    return [value for line in headers.getlist(name) for part in line.split(",") if (value := part.strip())]

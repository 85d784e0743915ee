"""Who may ask: clients with the token, under a name that is the server's, and no other site's page."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from urllib.parse import SplitResult, urlsplit

from fastapi import HTTPException, Request, status

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def guard(token: str | None, is_local: bool, names: Sequence[str]) -> Callable[[Request], None]:
    """Return what raises HTTPException 401 or 403 for a request; see `isomer.serve.app.create_app`."""

    def check(request: Request) -> None:
        if token is not None:
            scheme, _, sent = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not hmac.compare_digest(sent.strip().encode(), token.encode()):
                raise HTTPException(status.HTTP_401_UNAUTHORIZED, "a token is needed", {"WWW-Authenticate": "Bearer"})
        host = request.headers.get("host", "")
        if is_local and _split(f"//{host}").hostname not in (*LOOPBACK, *names):
            raise HTTPException(status.HTTP_403_FORBIDDEN, "not a name that this server was given")
        # A page from elsewhere may send forms to a server on this machine; browsers say where it is from.
        origin = _split(request.headers.get("origin", f"//{host}"))
        if origin.netloc != host and origin.hostname not in names:
            raise HTTPException(status.HTTP_403_FORBIDDEN, "requests of other sites' pages are refused")

    return check


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # such as a bracket that is not closed
        return urlsplit("")

"""How long a connection may be idle: those of clients that are gone, or mean harm, must not take all places."""

from __future__ import annotations

import asyncio

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

_GRACE = 3
"""Seconds that open answers have once the server is told to stop."""
_TICK_SECONDS = 1.0
_HEAD_SECONDS = 10.0
"""From the connection, or the last answer, to the end of a request's head."""
_UNREAD_SECONDS = 30.0
"""Without a byte of the answer being taken."""


def configured(app: ASGIApp, connections: int) -> uvicorn.Config:
    """Return how an application is served: at most so many connections at once, none of them idle for long."""
    return uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # uvicorn would believe any client on this machine
        limit_concurrency=connections,
        timeout_graceful_shutdown=_GRACE,
    )


class _Connection(H11Protocol):
    """Ends when a client neither sends a request nor takes an answer; its request itself may take its time.

    uvicorn's own time-out is for silence after an answer alone.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._drained = 0
        self._waits_for: object = None
        self._deadline = 0.0
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._drained += 1
        super().resume_writing()

    def _watch(self) -> None:
        waits_for, seconds = self._waiting()
        now = self.loop.time()
        if waits_for is None or waits_for != self._waits_for:
            self._waits_for, self._deadline = waits_for, now + seconds
        elif now >= self._deadline:
            self.transport.abort()  # closing it would wait until all is taken
        self._timer = self.loop.call_later(_TICK_SECONDS, self._watch)

    def _waiting(self) -> tuple[object, float]:
        """Return what the client has to do, None for nothing, and for how long it may do nothing of it."""
        unread = self.transport.get_write_buffer_size()
        if unread:
            return (self._drained, unread), _UNREAD_SECONDS
        if self.cycle is None or self.cycle.response_complete:
            return ("head", self.cycle), _HEAD_SECONDS
        return None, 0

"""What the server says of its work: an event a line, `request method=GET path=/health status=200 ms=1`."""

from __future__ import annotations

import json
import logging
import re

_log = logging.getLogger("isomer.serve")
_PLAIN = re.compile(r"[\w./:+-]+")


def log_event(level: int, event: str, **fields: object) -> None:
    """Log an event with what is known of it; values that are more than a word are quoted as in JSON."""
    if _log.isEnabledFor(level):
        _log.log(level, " ".join([event, *(f"{name}={_quoted(str(value))}" for name, value in fields.items())]))


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)

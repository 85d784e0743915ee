"""What an examination finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class State(str, Enum):
    """How a thing is."""

    ok = "ok"
    absent = "absent"  # and can be done without
    wrong = "wrong"


@dataclass(frozen=True)
class Finding:
    """What was found of one thing.

    Attributes:
        name: of the thing, one word.
        state: how it is.
        says: the same for people, in one line: what is there, or what is wrong and what to do.
        details: the same for programs: names and plain values.
    """

    name: str
    state: State
    says: str
    details: Mapping[str, object] = field(default_factory=dict)

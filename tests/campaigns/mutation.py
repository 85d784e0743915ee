"""Files that are broken on purpose: bytes of any file, values of JSON and YAML."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

_EXTREMES = (b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\x00\x00\x00", b"\x00\x00\x00\x01")
_HEAD = 512  # bytes in which most of what a file says of itself stands
_HOSTILE: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 255, 65_536, 10**9, 2**63, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan")),
    *("", "x", "\0", "../../x", "é" * 300, "1", "a/b", "-", "null", [], {}, [[]], [None], {"": None}, [1e308] * 6),
)


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """Break bytes at one to eight places, most of them near the start, or cut, repeat or insert a part."""
    broken = bytearray(data)
    for _ in range(random.integers(1, 9)):
        end = _HEAD if random.random() < 0.5 else len(broken)
        at = int(random.integers(0, max(1, min(end, len(broken)))))
        length = int(random.integers(1, 65))
        match random.integers(0, 7):
            case 0:
                broken[at : at + 1] = bytes([broken[at] ^ 1 << int(random.integers(0, 8))]) if broken else b""
            case 1 | 2:
                extreme = _EXTREMES[random.integers(len(_EXTREMES))]
                broken[at : at + len(extreme)] = extreme
            case 3:
                broken[at : at + length] = random.bytes(length)
            case 4:
                del broken[at : at + length]
            case 5:
                broken[at:at] = broken[at : at + length]
            case 6:
                if random.random() < 0.3:
                    del broken[at:]
    return bytes(broken)


def mutated_document(document: Any, random: np.random.Generator) -> Any:
    """Replace, remove or repeat up to three parts of a document of lists, dictionaries and values."""
    broken = copy.deepcopy(document)
    for _ in range(random.integers(1, 4)):
        places = list(_places(broken))
        if not places:
            break
        parent, key = places[random.integers(len(places))]
        match random.integers(0, 5):
            case 0 | 1 | 2:
                parent[key] = copy.deepcopy(_HOSTILE[random.integers(len(_HOSTILE))])
            case 3:
                del parent[key]
            case 4:
                other, at = places[random.integers(len(places))]
                parent[key] = copy.deepcopy(other[at])
    return broken


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        yield document, key
        yield from _places(document[key])

"""Converted and compiled networks are kept: only a network's first use waits for them.

What is kept can be deleted at any time. A folder that cannot be written or read is passed by.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_log = logging.getLogger(__name__)


def cache_folder() -> Path | None:
    """Return the user's folder of kept networks, made if need be; None where there is none to write to."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    try:
        folder = (Path(base) if base else Path.home() / ".cache") / "isomer"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: nobody knows of a home
        return None
    return folder if os.access(folder, os.W_OK) else None


def folder_of(weights: Path, packages: tuple[str, ...]) -> Path | None:
    """Return where what is made of a network's file is kept; None where nothing can be. It may not be there yet.

    Args:
        weights: the file.
        packages: whose versions decide on what is made; the first names the folder.
    """
    folder = cache_folder()
    return folder / f"{packages[0]}-{_key(weights, packages)}" if folder else None


def kept_or_made(
    folder: Path | None, read: Callable[[Path], T], make: Callable[[], T], write: Callable[[T, Path], object]
) -> T:
    """Return what a folder keeps, or make it, and keep it for the next time.

    Args:
        folder: of `folder_of`.
        read: reads what `write` wrote into a folder; whatever it raises, the folder is damaged and made anew.
        make: makes it; it takes a while.
        write: writes it into a folder that is there.
    """
    if folder and folder.is_dir():
        try:
            return read(folder)
        except Exception:  # each runtime raises its own
            _log.info("%s: damaged; made anew", folder)
            shutil.rmtree(folder, ignore_errors=True)
    made = make()
    if folder:
        try:
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
                whole = Path(temporary) / folder.name
                whole.mkdir()
                write(made, whole)
                with suppress(OSError):  # another process was quicker, with the same result
                    whole.replace(folder)
            return read(folder)  # as the next time, which then finds what is compiled of it
        except (OSError, RuntimeError) as error:  # RuntimeError: OpenVINO's, for a full disk
            _log.info("%s: the converted network cannot be kept there (%s)", folder.parent, _line(error))
    return made


def _line(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).strip().splitlines()[-1]


def _key(weights: Path, packages: tuple[str, ...]) -> str:
    """Hash all that decides on the result: the weights, the network's code and the versions of what makes it."""
    digest = hashlib.sha256(" ".join(f"{name}=={metadata.version(name)}" for name in packages).encode())
    digest.update(_code())
    digest.update(hashlib.sha256(weights.read_bytes()).digest())
    return digest.hexdigest()[:32]


@cache
def _code() -> bytes:
    digest = hashlib.sha256()
    home = Path(__file__).parents[1]
    for file in (*sorted((home / "model").rglob("*.py")), *sorted((home / "runtime").rglob("*.py"))):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.digest()

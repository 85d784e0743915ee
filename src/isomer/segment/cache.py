"""Converted networks are kept, so that only a network's first use waits for PyTorch and the conversion."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import isomer

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return the user's folder of converted networks: what is in it can be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(base) / "isomer"


@contextmanager
def converted(weights: Path, packages: tuple[str, ...], convert: Callable[[Path], None]) -> Iterator[Path]:
    """Yield a folder with a network's converted files: the kept one, or one made now.

    Args:
        weights: the checkpoint that is converted.
        packages: whose versions the result depends on; the first names it.
        convert: writes the files into a folder.
    """
    kept = cache_folder() / f"{packages[0]}-{_key(weights, packages)}"
    if kept.is_dir():
        yield kept
        return
    _log.info("converting %s for %s: done once", weights.name, packages[0])
    with tempfile.TemporaryDirectory(prefix=f".{kept.name}-", dir=_writable(kept.parent)) as temporary:
        made = Path(temporary) / kept.name
        made.mkdir()
        convert(made)
        if Path(temporary).parent == kept.parent:
            try:
                made.replace(kept)
            except OSError:
                if not kept.is_dir():  # otherwise another process was quicker, with the same result
                    raise
            made = kept
        yield made


def _key(weights: Path, packages: tuple[str, ...]) -> str:
    """Hash all that decides on the result: the weights, the network's code and the converters' versions."""
    digest = hashlib.sha256(" ".join(f"{name}=={metadata.version(name)}" for name in packages).encode())
    home = Path(isomer.__file__).parent
    code = [*sorted((home / "model").rglob("*.py")), *sorted((home / "segment").rglob("*.py"))]
    for file in (*code, weights):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _writable(folder: Path) -> Path | None:
    """Return the folder, made if need be, or None where nothing can be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None

"""Writing files so that a crash or a full disk never leaves half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from isomer.errors import InputError


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder and its parents for what is done inside; on an error the new ones that are empty go again.

    Raises:
        OSError: the folder cannot be made.
    """
    missing = [new for new in (folder, *folder.parents) if not new.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for new in missing:
                new.rmdir()
        raise


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is renamed to `path`, on an error removed.

    The temporary name keeps the suffix of `path`, because encoders choose the format by it.

    Raises:
        InputError: the folder cannot be created or written to.
    """
    path = Path(path)
    with ExitStack() as stack:
        try:
            stack.enter_context(made_folder(path.parent))
            handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror}); choose another output") from error
        os.close(handle)
        temporary = Path(name)
        stack.callback(temporary.unlink, missing_ok=True)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes private files
        temporary.replace(path)

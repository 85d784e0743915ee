"""Writing files so that a crash or a full disk never leaves half of one, and folders that have one writer at a time."""

from __future__ import annotations

import errno
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
def sole_writer(folder: Path) -> Iterator[None]:
    """Make a folder and hold it, by a file `lock` in it, for what is done inside; a dead process holds nothing.

    Raises:
        InputError: another process holds it, or it cannot be made or written to.
    """
    lock = folder / "lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(made_folder(folder))
            file = _locked(lock)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written to ({error.strerror}); choose another output") from error
        if file is None:
            raise InputError(f"{folder}: another process writes to it; wait for it, or choose another output")
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()
            os.close(file)


def _locked(path: Path) -> int | None:
    """Open a file and take its lock; None where another process has it."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not take_lock(file):
            os.close(file)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)  # whoever had it has removed it meanwhile


def take_lock(file: int) -> bool:
    """Take the lock of an open file, which ends with the process, however it ends.

    Returns:
        Whether it was free; always so where the file system has no locks.
    """
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return True


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

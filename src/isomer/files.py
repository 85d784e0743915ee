"""Writing files so that a crash or a full disk never leaves half of one, nor one of several; one writer a folder."""

from __future__ import annotations

import errno
import glob
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from isomer.errors import InputError

_ADDRESS = re.compile("[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # a `Path` has lost the second slash
_LONGEST = 200  # bytes of a name that leave room for what its hidden names have more; file systems take 255


def local_path(path: str | Path) -> Path:
    """Return the path of something on this machine.

    Raises:
        InputError: it is an address.
    """
    if _ADDRESS.match(str(path)) and not Path(path).exists():
        raise InputError(f"{path}: is an address, not a file; download what is there and give the file")
    return Path(path)


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
    """Make a folder and hold it, by a hidden file in it, for what is done inside; a dead process holds nothing.

    Raises:
        InputError: another process holds it, or it cannot be made or written to.
    """
    lock = folder / ".isomer-lock"
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
        _lock(file)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return True


def _lock(file: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is renamed to `path`, on an error removed.

    The temporary name keeps the suffix of `path`, because encoders choose the format by it.

    Raises:
        InputError: `path` is a folder, or its folder cannot be created or written to.
    """
    with Stage() as stage:
        yield stage.file(Path(path))


@contextmanager
def said_of(path: Path) -> Iterator[None]:
    """Say in one line why the system cannot write `path`.

    Raises:
        InputError: for an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another output") from error


class Stage:
    """Where files and folders are written under hidden names until all of them are whole.

    A context manager. Leaving it puts all in their places; an error, inside or on the way, leaves all as it was. What
    a process that was killed left, the next stage of the same path removes.

    Raises:
        InputError: something cannot be put in its place (from leaving it).
    """

    def __init__(self) -> None:
        self._resources = ExitStack()
        self._files: list[tuple[Path, Path]] = []  # hidden, and its place
        self._folders: list[tuple[Path, Path]] = []
        self._obsolete: list[Path] = []
        self._asides: dict[Path, Path] = {}  # by output: a hidden folder for what it replaces

    def file(self, path: Path) -> Path:
        """Make the file that is to be at `path`, and return its hidden name, which has the same suffix.

        Raises:
            InputError: nothing can be written there.
        """
        with said_of(path):
            if path.is_dir():
                raise InputError(f"{path}: is a folder; choose another output")
            self._enter(path.parent)
            with suppress(FileNotFoundError):
                path.lstat()  # fails where the name is too long, unlike the hidden one
            _remove_abandoned(path)
            handle, name = tempfile.mkstemp(prefix=_prefix(path), suffix=path.suffix, dir=path.parent)
        hidden = Path(name)
        self._resources.callback(hidden.unlink, missing_ok=True)
        self._mark(handle)
        self._files.append((hidden, path))
        return hidden

    def folder(self, path: Path) -> Path:
        """Make the folder whose files are to be in the folder `path`, and return its hidden name.

        Files of other names that are in `path` stay there.

        Raises:
            InputError: nothing can be written there.
        """
        with said_of(path):
            if os.path.lexists(path) and not path.is_dir():
                what = "a link to nothing" if path.is_symlink() and not path.exists() else "a file"
                raise InputError(f"{path}: is {what}, not a folder; choose another output")
            parent = path if path.is_dir() else path.parent  # `path` may be a file system of its own
            self._enter(parent)
            _remove_abandoned(path)
            hidden = self._hidden_folder(path, parent)
        self._folders.append((hidden, path))
        return hidden

    def remove(self, file: Path) -> None:
        """Have a file removed when all is put in its place."""
        self._obsolete.append(file)

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._resources.__exit__(kind, error, trace)
            return
        with self._resources, ExitStack() as undo:
            for hidden, path in self._files:
                with said_of(path):
                    hidden.chmod(0o666 & ~_umask())  # mkstemp makes private files
                    self._replace(path, hidden, path, undo)
            for hidden, path in self._folders:
                with said_of(path):
                    hidden.chmod(0o777 & ~_umask())
                    self._fill(path, hidden, undo)
            for path in self._obsolete:
                with said_of(path):
                    self._keep(path, path.parent, undo)
                    path.unlink(missing_ok=True)
            undo.pop_all()

    def _enter(self, folder: Path) -> None:
        self._resources.enter_context(made_folder(folder))

    def _hidden_folder(self, path: Path, parent: Path) -> Path:
        hidden = Path(tempfile.mkdtemp(prefix=_prefix(path), dir=parent))
        self._resources.callback(shutil.rmtree, hidden, ignore_errors=True)
        if os.name != "nt":  # which opens no folders
            self._mark(os.open(hidden, os.O_RDONLY))
        return hidden

    def _mark(self, file: int) -> None:
        """Hold the lock of an open file or folder, which tells it from what a dead process left."""
        if os.name == "nt":  # where nobody could write to it
            os.close(file)
        else:
            take_lock(file)
            self._resources.callback(os.close, file)

    def _fill(self, path: Path, hidden: Path, undo: ExitStack) -> None:
        """Put a folder in its place as a whole or, if there is one, its files."""
        try:
            hidden.rename(path)
            undo.callback(path.rename, hidden)
        except OSError:
            if not path.is_dir():
                raise
            for file in hidden.iterdir():
                self._replace(path / file.name, file, path, undo)

    def _replace(self, path: Path, hidden: Path, output: Path, undo: ExitStack) -> None:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if os.path.lexists(path):
            self._keep(path, output, undo)
        hidden.replace(path)
        undo.callback(path.replace, hidden)

    def _keep(self, path: Path, output: Path, undo: ExitStack) -> None:
        """Keep what is at `path` until all is in its place; where the file system has links it also stays there."""
        if output not in self._asides:
            self._asides[output] = self._hidden_folder(output, path.parent)
        aside = self._asides[output] / path.name
        try:
            os.link(path, aside)
        except OSError:
            path.rename(aside)
        undo.callback(aside.replace, path)


def remove_unfinished(path: Path) -> None:
    """Remove what a process that was killed left on the stage of `path`; none that still writes it may run."""
    for left in _hidden(path):
        _remove(left)


def _remove_abandoned(path: Path) -> None:
    """Remove what a process that was killed left on the stage of `path`, as far as locks tell."""
    if os.name == "nt":
        return
    for left in _hidden(path):
        with suppress(OSError):
            file = os.open(left, os.O_RDONLY)
            try:
                _lock(file)
                _remove(left)
            finally:
                os.close(file)


def _hidden(path: Path) -> list[Path]:
    """List what is on the stage of a path, of whatever process."""
    pattern = glob.escape(_prefix(path)) + "?" * 8
    return [
        left for folder in (path.parent, path) for suffix in {path.suffix, ""} for left in folder.glob(pattern + suffix)
    ]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _prefix(path: Path) -> str:
    """Return what hidden names for a path begin with, and for no other path beside it."""
    name = path.name
    if len(os.fsencode(name)) > _LONGEST:
        name = f"{name[:32]}-{zlib.crc32(os.fsencode(name)):08x}"
    return f".{name}-"


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask

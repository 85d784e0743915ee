"""What a user's bad input, or a package that is not installed, raises."""

from __future__ import annotations

from importlib.util import find_spec


class InputError(ValueError):
    """Bad input, said in one line: the file or option, what is wrong with it, and what to do.

    The command line prints the message alone and exits with code 2.
    """


class MissingPackageError(InputError, ImportError):
    """A package is not installed; the message has the command that installs it."""


def require(what: str, extra: str, *packages: str) -> None:
    """Make sure that packages can be imported, without importing them.

    Args:
        what: needs them: an option, a file or a verb.
        extra: of this distribution, that brings them.
        packages: by the names that they are imported by.

    Raises:
        MissingPackageError: one is not installed.
    """
    for package in packages:
        if find_spec(package) is None:
            raise MissingPackageError(f"{what}: needs {package}; in Isomer's folder, run: {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that installs an extra of this distribution, in the folder that holds its pyproject.toml."""
    return f'pip install ".[{extra}]"'

"""What a user's bad input, or a package that is not installed, raises, and how it quotes others."""

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
            raise MissingPackageError(f"{what}: needs {package}; {how_to_install(extra)}")


def how_to_install(extra: str = "") -> str:
    """Say the command that installs Isomer, or an extra of it, in the folder that holds its pyproject.toml."""
    what = f'".[{extra}]"' if extra else "."
    return f"in Isomer's folder, run: pip install {what}"


def brief(said: object) -> str:
    """What came from elsewhere, such as another exception, as part of such a line."""
    text = " ".join(str(said).split())
    return text if len(text) <= 200 else f"{text[:200]}..."

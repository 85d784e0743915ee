"""What a user's bad input, or a package that is not installed, raises, and how it quotes others."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.util import find_spec


class InputError(ValueError):
    """Bad input, said in one line: the file or option, what is wrong with it, and what to do.

    The command line prints the message alone and exits with code 2.
    """


class ArgumentError(InputError):
    """The value of an argument is no good.

    The message names it as Python does, `size=32: ...`; the command line names the option, `--size 32: ...`.

    Attributes:
        argument: its name.
        value: what was given.
        problem: what is wrong with that, and what to do.
    """

    def __init__(self, argument: str, value: object, problem: str) -> None:
        super().__init__(argument, value, problem)  # all three, so that it can be pickled
        self.argument, self.value, self.problem = argument, value, problem

    def __str__(self) -> str:
        return f"{self.argument}={self.value}: {self.problem}"


class MissingPackageError(InputError, ImportError):
    """A package is not installed; the message has the command that installs it."""


def require(what: str, extra: str, *packages: str) -> None:
    """Make sure that packages can be imported, without importing them.

    Args:
        what: needs them, in words for the user of the library as well as of the command line.
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


def suggestion(word: str, known: Iterable[str]) -> str:
    """Ask whether one of the known words is meant by another one; nothing if none is like it."""
    close = get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def reason(error: BaseException) -> str:
    """Why something failed, without the name of its file, which stands in the line already."""
    return str(getattr(error, "strerror", None) or brief(error))


def brief(said: object) -> str:
    """What came from elsewhere, such as another exception, as part of such a line."""
    text = " ".join(str(said).split())
    return text if len(text) <= 200 else f"{text[:200]}..."

"""The `isomer` command: one verb a file of this folder."""

from __future__ import annotations

import argparse
import atexit
import io
import logging
import os
import pkgutil
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import isomer.cli
from isomer.cli._ending import Ending
from isomer.cli._options import flag
from isomer.errors import ArgumentError, InputError, require, suggestion
from isomer.files import local_path

_VERBS = [
    module.name
    for module in pkgutil.iter_modules(isomer.cli.__path__)
    if module.name != "main" and not module.name.startswith("_")
]
_ADDRESSES = 2**31
"""Bytes that are reserved, if hardly used, by what is loaded: OpenVINO, PyTorch, stacks of threads."""


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Collect the verbs: a module's docstring is its help, `add_arguments` and `run` do the rest.

    A verb that cannot do without an extra also has `NEEDS`, the extra and its packages; see `isomer.errors.require`.

    Args:
        only: the verb whose arguments are declared, for some need imports that take time; None is all verbs.
    """
    parser = _Parser(
        prog="isomer",
        description="Zero-shot video object segmentation: the primary object's mask in every frame.",
    )
    parser.add_argument("--version", action="version", version=f"isomer {isomer.__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=_VerbParser)
    for name in _VERBS:
        verb = import_module(f"isomer.cli.{name}")
        summary = (verb.__doc__ or "").strip()
        verb_parser = verbs.add_parser(
            name,
            help=summary.splitlines()[0],
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if only in (None, name):
            verb.add_arguments(verb_parser)
            _add_verbosity(verb_parser)
        verb_parser.set_defaults(run=verb.run, parser=verb_parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 2 for bad input, said in one line, 128 + N after a signal N."""
    warnings.formatwarning = _one_line
    logging.basicConfig(format="isomer: %(message)s")
    log = logging.getLogger("isomer")
    log.setLevel(logging.INFO)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # what it says of a broken image is said here, too
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold what its encoding does not
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if argv is None else argv
    verb = next((word for word in words if not word.startswith("-")), "")
    ending = Ending()
    try:
        if verb not in ("", "completion", "doctor", "models"):
            _check_addresses()
        if verb not in ("", "doctor"):  # which says more
            _hint()
        arguments = _parsed(verb, words)
        if arguments.quiet or arguments.verbose:
            log.setLevel(logging.WARNING if arguments.quiet else logging.DEBUG)
        with ending:
            code = int(arguments.run(arguments))
            print(end="", flush=True)
            return code
    except ArgumentError as error:
        return _failed(f"{flag(error.argument)} {error.value}: {error.problem}")
    except InputError as error:
        return _failed(str(error))
    except ImportError as error:
        return _failed(f"{error}; isomer doctor says what is wrong here")
    except KeyboardInterrupt:
        how = "interrupted" if ending.signal is signal.SIGINT else f"ended by {ending.signal.name}"
        with suppress(OSError):  # the terminal may have gone
            print(f"isomer: {how}", file=sys.stderr)
        return 128 + ending.signal
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        _drop_output()
        return 1
    except OSError as error:  # of what surrounds the command, such as a disk that its standard output goes to
        _drop_output()
        is_access = isinstance(error, (PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError))
        remedy = "check it and its permissions" if is_access else "make room, or raise the limit"
        return _failed(f"{error.filename or 'the system'}: {error.strerror or error}; {remedy}")
    except MemoryError:
        return _failed("not enough memory; choose a smaller video, or raise the limit")


def console() -> NoReturn:
    """The command itself: `main`, then out of the process at once.

    To take every object apart first, only for the system to free what is left, takes a fifth of a second.
    """
    for number in range(3):  # what is closed must not become the number of a file, which libraries would print to
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    code = main()
    atexit._run_exitfuncs()
    os._exit(code)


class _Parser(argparse.ArgumentParser):
    """Says in one line what it does not understand, and takes no addresses for files."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.register("type", Path, _path)

    def error(self, message: str) -> NoReturn:
        """Leave with the message and the exit code 2."""
        message = re.sub(r"^argument (\S+): ", r"\1: ", message)
        self.exit(2, f"isomer: {message}; see {self.prog} --help\n")


def _path(text: str) -> Path:
    try:
        return local_path(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


class _VerbParser(_Parser):
    """Takes arguments before, between and behind the options, however many there may be of them."""

    _is_inside = False  # of the method, which argparse's own calls again for each of two passes

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as `parse_known_intermixed_args` does."""
        if self._is_inside:
            return super().parse_known_args(args, namespace)
        self._is_inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_inside = False


def _add_verbosity(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-q", "--quiet", action="store_true", help="print warnings and failures only")
    group.add_argument("-v", "--verbose", action="store_true", help="tell more, and where an error came from")


def _parsed(verb: str, words: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; suggest what may be meant by a verb or an option that is not there."""
    if verb and verb not in _VERBS:
        raise InputError(f"{verb}: no such verb{suggestion(verb, _VERBS)}; isomer --help lists them")
    parser = build_parser(verb)
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(2)
    if verb and not {"-h", "--help"} & set(words):
        needs = getattr(import_module(f"isomer.cli.{verb}"), "NEEDS", ())
        if needs:
            require(f"isomer {verb}", *needs)
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        word = unknown[0].partition("=")[0]
        known = [string for action in arguments.parser._actions for string in action.option_strings]
        if word in known:
            what = f"goes after {verb}"
        else:
            what = f"no such option{suggestion(word, known)}" if word.startswith("-") else "one argument too many"
        arguments.parser.error(f"{word}: {what}")
    return arguments


def _failed(message: str) -> int:
    """Print what was wrong, where much is to be told with the traceback, and return the exit code."""
    logging.getLogger("isomer").debug("", exc_info=True)
    print(f"isomer: {message}", file=sys.stderr)
    return 2


def _drop_output() -> None:
    """Keep what was printed and cannot be written from failing once more at the interpreter's end."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check_addresses() -> None:
    """Refuse a limit in which libraries crash, hang or misreport as they are loaded, none of which can be caught."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= limit < _ADDRESSES:
        have, need = limit >> 20, _ADDRESSES >> 20
        raise InputError(
            f"ulimit -v: {have} MiB of addresses, and libraries reserve up to {need} MiB, which they do not use; raise "
            "the limit, or limit memory by a control group"
        )


def _hint() -> None:
    """Say where OpenCV smells: what it then does or raises tells nobody why."""
    from isomer.doctor.installation import check_opencv

    if smell := check_opencv():
        warnings.warn(f"{smell}; isomer doctor says more", stacklevel=1)


def _one_line(message: Warning | str, *_: object, **__: object) -> str:
    return f"isomer: warning: {message}\n"


if __name__ == "__main__":
    console()

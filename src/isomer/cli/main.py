"""The `isomer` command: one verb a file of this folder."""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import pkgutil
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import isomer.cli
from isomer.errors import InputError


def build_parser() -> argparse.ArgumentParser:
    """Collect the verbs: a module's docstring is its help, `add_arguments` and `run` do the rest."""
    parser = argparse.ArgumentParser(
        prog="isomer",
        description="Zero-shot video object segmentation: the primary object's mask in every frame.",
    )
    parser.add_argument("--version", action="version", version=f"isomer {isomer.__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for module in pkgutil.iter_modules(isomer.cli.__path__):
        if module.name == "main" or module.name.startswith("_"):
            continue
        verb = import_module(f"isomer.cli.{module.name}")
        summary = (verb.__doc__ or "").strip()
        verb_parser = verbs.add_parser(
            module.name,
            help=summary.splitlines()[0],
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.add_arguments(verb_parser)
        verb_parser.set_defaults(run=verb.run, verb=module.name)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 2 for bad input, said in one line."""
    warnings.formatwarning = _one_line
    logging.basicConfig(format="isomer: %(message)s")
    logging.getLogger("isomer").setLevel(logging.INFO)
    arguments = build_parser().parse_args(argv)
    try:
        if arguments.verb != "doctor":  # which says more
            _hint()
        code = int(arguments.run(arguments))
        print(end="", flush=True)
        return code
    except InputError as error:
        print(f"isomer: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"isomer: {error}; isomer doctor says what is wrong here", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("isomer: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def console() -> NoReturn:
    """The command itself: `main`, then out of the process at once.

    To take every object apart first, only for the system to free what is left, takes a fifth of a second.
    """
    code = main()
    atexit._run_exitfuncs()
    os._exit(code)


def _hint() -> None:
    """Say where OpenCV smells: what it then does or raises tells nobody why."""
    from isomer.doctor.installation import check_opencv

    if smell := check_opencv():
        warnings.warn(f"{smell}; isomer doctor says more", stacklevel=1)


def _one_line(message: Warning | str, *_: object, **__: object) -> str:
    return f"isomer: warning: {message}\n"


if __name__ == "__main__":
    console()

"""Print a script with which a shell completes verbs, options, files and values.

`isomer completion bash > ~/.local/share/bash-completion/completions/isomer` is for the next shell that is opened. For
zsh, write it to a file `_isomer` in a folder of $fpath. It needs the extra completion.
"""

from __future__ import annotations

import argparse
from pathlib import Path

NEEDS = ("completion", "shtab")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), metavar="SHELL", help="bash, zsh or tcsh")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from isomer.cli.main import build_parser
    from isomer.options import VideoOptions, options_of

    parser = build_parser()
    known = options_of(VideoOptions)
    (verbs,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for action in (action for verb in verbs.choices.values() for action in verb._actions):
        if action.type is Path:
            action.complete = shtab.FILE
        elif action.dest in known and known[action.dest].choices:
            action.choices = known[action.dest].choices
    print(shtab.complete(parser, arguments.shell))
    return 0

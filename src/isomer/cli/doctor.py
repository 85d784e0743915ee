"""Say what is installed, what runs here and whether it computes what it should; for a bug report.

Three drawn frames go through the whole path in every back end, and their maps are held against stored ones. The exit
code is 1 where something is wrong.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--json", action="store_true", help="print it for programs, with more details")


def run(arguments: argparse.Namespace) -> int:
    """Print what is found, line by line, or all of it as JSON."""
    import json
    import platform
    import textwrap

    import isomer
    from isomer.doctor import State, examine
    from isomer.machine import processor

    about = {
        "isomer": isomer.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
    }
    if not arguments.json:
        print("isomer {isomer}, Python {python}, {system}, {processor}".format(**about))
    findings = []
    for found in examine():
        findings.append(found)
        if not arguments.json:
            start = f"{found.state.value:8}{found.name:10}"
            lines = textwrap.wrap(found.says, 100 - len(start), break_on_hyphens=False)
            print(start + f"\n{' ' * len(start)}".join(lines), flush=True)
    wrong = [found.name for found in findings if found.state is State.wrong]
    if arguments.json:
        report = about | {"wrong": wrong, "findings": {found.name: vars(found) for found in findings}}
        print(json.dumps(report, indent=2))
    else:
        print(f"{len(wrong)} wrong: {', '.join(wrong)}" if wrong else "nothing is wrong")
    return 1 if wrong else 0

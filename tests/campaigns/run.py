"""The campaign: broken files, signals, hostile clients and small limits, and a table of what became of each try.

Every try ends in the right result, or in one line and its exit code, within a time, below 1.5 GB, and leaves nothing.
The exit code is 1 where one does not. Linux only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import abuse
import cases
import cv2
import fuzzing
import numpy as np
import samples
import surroundings
from trial import Outcome, Verdict


class Kind(NamedTuple):
    """A kind of tries.

    Attributes:
        attempt: makes the try in its empty folder, with the samples' folder at hand.
        tries: how many a whole campaign makes, of broken files.
        cases: further arguments of each try, where these can be counted.
    """

    attempt: Callable[..., Verdict]
    tries: int = 0
    cases: Sequence[tuple[object, ...]] = ()


_ENVIRONMENT = {  # read when libraries are loaded
    "OPENCV_LOG_LEVEL": "SILENT",  # as the command has it
    "OMP_NUM_THREADS": "1",  # threads do not survive the forks of tries
    "OPENBLAS_NUM_THREADS": "1",
}
KINDS = {
    "media": Kind(fuzzing.media, 1000),
    "images": Kind(fuzzing.images, 1000),
    "documents": Kind(fuzzing.documents, 600),
    "manifests": Kind(fuzzing.manifests, 60),
    "recipes": Kind(fuzzing.recipes, 600),
    "checkpoints": Kind(fuzzing.checkpoints, 300),
    "flows": Kind(fuzzing.flows, 200),
    "zips": Kind(fuzzing.zips, 300),
    "streams": Kind(surroundings.streams, cases=surroundings.STREAM_CASES),
    "names": Kind(surroundings.names, cases=surroundings.NAME_CASES),
    "signals": Kind(surroundings.signals, cases=surroundings.SIGNAL_CASES),
    "limits": Kind(surroundings.limits, cases=surroundings.LIMIT_CASES),
    "one core": Kind(surroundings.core, cases=surroundings.CORE_CASES),
    "server": Kind(abuse.server, cases=abuse.CASES),
    "cases": Kind(cases.case, cases=cases.CASES),
    "length": Kind(surroundings.length, cases=surroundings.LENGTH_CASES),
}


def main() -> int:
    """Make the tries that are asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--share", type=float, default=1.0, help="of a whole campaign (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is broken (default: %(default)s)")
    parser.add_argument("--only", type=int, metavar="N", help="of each kind only this try, and keep its folder")
    arguments = parser.parse_args()
    if not _ENVIRONMENT.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | _ENVIRONMENT)
    cv2.setNumThreads(0)
    os.environ["XDG_CACHE_HOME"] = os.environ.get("XDG_CACHE_HOME") or tempfile.mkdtemp(prefix="campaign-cache-")
    root = Path(tempfile.mkdtemp(prefix="isomer-"))
    samples.make(root / "samples")
    counts = {}
    faults = 0
    for name in arguments.kinds:
        kind, start = KINDS[name], time.monotonic()
        chosen = [arguments.only] if arguments.only is not None else _chosen(kind, arguments.share, arguments.seed)
        counts[name] = Counter()
        for number in chosen:
            verdict = _attempt(kind, root, name, number, arguments.seed, arguments.only is not None)
            counts[name][verdict.outcome] += 1
            if verdict.outcome not in (Outcome.right, Outcome.refused) or arguments.only is not None:
                faults += verdict.outcome not in (Outcome.right, Outcome.refused)
                case = kind.cases[number] if kind.cases else ""
                said = f"{verdict.outcome.value}: {verdict.said.strip()}"
                print(f"'{name}' --only {number} {case}: {said}", file=sys.stderr, flush=True)
        print(f"{name}: {len(chosen)} tries in {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    _print(counts)
    if arguments.only is None:
        shutil.rmtree(root)
    else:
        print(root, file=sys.stderr)
    return 1 if faults else 0


def _chosen(kind: Kind, share: float, seed: int) -> list[int]:
    if kind.tries:
        return list(range(max(1, round(share * kind.tries))))
    order = np.random.default_rng(seed).permutation(len(kind.cases))
    return sorted(int(number) for number in order[: max(1, round(share * len(order)))])


def _attempt(kind: Kind, root: Path, name: str, number: int, seed: int, is_kept: bool) -> Verdict:
    random = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
    folder = root / str(number)  # short, as names of sockets have to be
    folder.mkdir()
    try:
        return kind.attempt(folder, root / "samples", random, *(kind.cases[number] if kind.cases else ()))
    except Exception:  # of the campaign itself; the other tries go on
        return Verdict(Outcome.wrong, traceback.format_exc())
    finally:
        if not is_kept:
            shutil.rmtree(folder, ignore_errors=True)


def _print(counts: dict[str, Counter[Outcome]]) -> None:
    columns = [outcome.value for outcome in Outcome]
    print(f"| kind | tries | {' | '.join(columns)} |")
    print("| --- |" + " --: |" * (1 + len(columns)))
    for name, counted in counts.items():
        cells = [str(counted.total()), *(str(counted[outcome]) for outcome in Outcome)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main())

"""What surrounds a command: its streams, names, signals, limits and cores, and how much it is given."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
from samples import pictures, write_video
from trial import Ended, Outcome, Verdict, fault_of, judge, run
from verbs import NETWORK, VERBS, Verb

_LONG = 10_000
_KIB = 2**10


def _closed(*numbers: int) -> Callable[[], None]:
    return lambda: [os.close(number) for number in numbers] and None


def _full() -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def _environment(**variables: str) -> Callable[[], None]:
    return lambda: os.environ.update(variables)


STREAMS = {
    "no stdin": _closed(0),
    "no stdout": _closed(1),
    "no stderr": _closed(2),
    "no streams": _closed(0, 1, 2),
    "full stdout": _full,
    "ascii": _environment(PYTHONIOENCODING="ascii"),
    "C": _environment(LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0"),
}
NAMES = {
    "no UTF-8": b"cl\xffi\xe9p",
    "252 bytes": b"x" * 248,
    "longest": b"x" * 255,
    "blanks": b" a  b ",
    "a line break": b"a\nb",
    "a pattern": b"%05d*[a]?",
    "an option": b"./-o",
    "a protocol": b"concat:a|b",
    "quotes": b"'\"\\$HOME`",
    "of a script": "\u0645\u0642\u0637\u0639-\u7247".encode(),
}
LIMITS: dict[str, tuple[int, int]] = {
    "small files": (resource.RLIMIT_FSIZE, 8 * _KIB),
    "few files": (resource.RLIMIT_NOFILE, 40),
    "little memory": (resource.RLIMIT_AS, 600 * _KIB**2),
}
SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT")

STREAM_CASES = list(product(VERBS, STREAMS))
NAME_CASES = [  # a training's output is a value of YAML
    (verb, name) for verb, name in product(VERBS, NAMES) if VERBS[verb].writes and verb != "train"
]
SIGNAL_CASES = [
    (verb, name, is_group)
    for verb, name, is_group in product(VERBS, SIGNALS, (False, True))
    if VERBS[verb].writes and verb != "live"  # which gives other frames each time
]
LIMIT_CASES = [(verb, limit) for verb, limit in product(VERBS, (*LIMITS, "full disk")) if VERBS[verb].writes]
CORE_CASES = [("segment",), ("segment video",), ("predict",), ("batch",), ("prepare jobs",), ("convert json",)]
LENGTH_CASES = [("masks", "zip"), ("overlay",), ("coco", "youtube-vis", "polygons"), ("gif", "webp"), ("convert",)]


def streams(folder: Path, samples: Path, random: np.random.Generator, verb: str, way: str) -> Verdict:
    """Run a verb with streams that are closed, full, or of few letters; names have some that they lack."""
    said = VERBS[verb]
    given = said.supply(samples, folder, "\u7247-" + Path(said.sample).name)
    out = f"\u7247-out{said.suffix}"
    ended = run(said.command(given, out), folder, before=STREAMS[way], is_fresh=True, seconds=300)
    outputs = [folder / out] if said.writes else []
    if way == "full stdout" and ended.code == 2:  # which is known only once all is done
        outputs = []
    verdict = judge(
        ended,
        folder,
        outputs,
        may_partly_fail=said.may_partly_fail or verb == "doctor",
        is_heard=way not in ("no stderr", "no streams"),
    )
    if verdict.outcome is Outcome.refused and way != "full stdout":
        return Verdict(Outcome.wrong, verdict.said)
    return verdict


def names(folder: Path, samples: Path, random: np.random.Generator, verb: str, name: str) -> Verdict:
    """Run a verb on names that are odd; one that is too long may be refused."""
    said = VERBS[verb]
    suffix = Path(said.sample).suffix
    room = 255 if name == "longest" else 252
    given, out = (
        os.fsdecode(NAMES[name][: room - len(end)] if len(NAMES[name]) > 99 else NAMES[name]) + end
        for end in (suffix, f"-{said.suffix}")
    )
    said.supply(samples, folder, given)
    command = said.command(given, out)
    ended = run(command, folder, is_fresh=True, seconds=300)
    verdict = judge(ended, folder, [folder / out], may_partly_fail=said.may_partly_fail)
    if verdict.outcome is Outcome.refused and "too long" not in verdict.said:
        return Verdict(Outcome.wrong, verdict.said)
    return verdict


def signals(folder: Path, samples: Path, random: np.random.Generator, verb: str, name: str, is_group: bool) -> Verdict:
    """End a verb midway, run it again, and compare what it wrote with what it writes undisturbed."""
    said, number = VERBS[verb], getattr(signal, name)
    undisturbed, midway = folder / "whole", folder / "ended"
    for where in (undisturbed, midway):
        where.mkdir()
        given = said.supply(samples, where)
    out = f"out{said.suffix}"
    command = said.command(given, out)
    start = os.times().elapsed
    whole = run(command, undisturbed, is_fresh=True, seconds=300)
    took = os.times().elapsed - start
    if whole.code != 0:
        return fault_of(whole, undisturbed) or Verdict(Outcome.wrong, whole.err)
    kill = (number, float(random.uniform(0.2, 1)) * took)
    ended = run(command, midway, is_fresh=True, seconds=300, kill=kill, is_group=is_group)
    fault = _fault_of_end(ended, midway, number)
    if fault is not None:
        return fault
    can_resume = verb != "train" or (midway / out / "last.pt").exists()
    again = run([*command, *(said.resume if can_resume else ())], midway, is_fresh=True, seconds=300)
    verdict = judge(again, midway, [midway / out])
    if verdict.outcome is not Outcome.right:
        done = ended.code == 0 and verdict.outcome is Outcome.refused  # a training that is over is not done again
        return Verdict(Outcome.right) if done else verdict
    differing = [name for name, data in _content(undisturbed / out) if data != dict(_content(midway / out)).get(name)]
    return Verdict(Outcome.wrong, f"{differing} differ") if differing else Verdict(Outcome.right)


def limits(folder: Path, samples: Path, random: np.random.Generator, verb: str, limit: str) -> Verdict:
    """Run a verb with little room, and few files."""
    said = VERBS[verb]
    given = said.supply(samples, folder)
    out = f"place/out{said.suffix}"
    (folder / "place").mkdir()
    if limit != "full disk":
        what, most = LIMITS[limit]
        ended = run(
            said.command(given, out), folder, before=lambda: resource.setrlimit(what, (most, most)), is_fresh=True
        )
        return _judged(said, ended, folder, out)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder / "place")]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        return Verdict(Outcome.refused, "this user may not mount a small disk")
    try:
        ended = run(said.command(given, out), folder, is_fresh=True)
        return _judged(said, ended, folder, out)
    finally:
        subprocess.run(["umount", str(folder / "place")], check=True)


def _judged(verb: Verb, ended: Ended, folder: Path, out: str) -> Verdict:
    outputs = [] if verb.keeps and ended.code == 2 else [folder / out]
    return judge(ended, folder, outputs, may_partly_fail=verb.may_partly_fail)


def core(folder: Path, samples: Path, random: np.random.Generator, verb: str) -> Verdict:
    """Run a verb on one core, and compare with what it writes on all."""
    said = VERBS[verb]
    given = said.supply(samples, folder)
    outs = [f"{where}{said.suffix}" for where in ("all", "one")]
    first = min(os.sched_getaffinity(0))
    for out, before in zip(outs, (lambda: None, lambda: os.sched_setaffinity(0, {first})), strict=True):
        ended = run(said.command(given, out), folder, before=before, is_fresh=True, seconds=300)
        verdict = judge(ended, folder, [folder / out])
        if verdict.outcome is not Outcome.right:
            return verdict
    same = _content(folder / outs[0]) == _content(folder / outs[1])
    return Verdict(Outcome.right if same else Outcome.wrong, "other results on one core")


def length(folder: Path, samples: Path, random: np.random.Generator, *kinds: str) -> Verdict:
    """Segment, or convert, a video of ten thousand frames."""
    write_video(folder / "long.mp4", [image for image, _ in pictures(20)] * (_LONG // 20))
    if kinds == ("convert",):
        command = ["convert", "long.mp4", "-o", "out"]
    else:
        command = ["segment", "long.mp4", "-o", "out/", "--output", *kinds, *NETWORK]
        (folder / "out").mkdir()
    ended = run(command, folder, is_fresh=True, seconds=1800)
    return judge(ended, folder, [folder / "out"])


def _fault_of_end(ended: Ended, folder: Path, number: int) -> Verdict | None:
    if number == signal.SIGKILL:  # nobody can tidy up; what is left goes at the next run
        return Verdict(Outcome.leftovers, f"processes {ended.orphans}") if ended.orphans else None
    if ended.code not in (0, 128 + number, -number):
        return Verdict(Outcome.traceback, f"exit code {ended.code}: {ended.err[-2000:]}")
    return fault_of(ended, folder)


def _content(path: Path) -> list[tuple[str, bytes]]:
    """Return the files below a path, or of it, that are the same at every run."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    noted = ("manifest.json", "log.jsonl", "last.pt")  # with times
    return [
        (str(file.relative_to(path)), file.read_bytes())
        for file in files
        if file.is_file() and file.name not in noted and not file.name.startswith("events.")
    ]

"""One try: a command in a process and a folder of its own, and what became of it."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from isomer.cli.main import main
from isomer.errors import InputError

Command = Sequence[str | bytes] | Callable[[], object]

MOST_MEMORY = 1.5 * 2**30
_CEILING = 10 * 2**30  # of addresses, so that nothing harms the machine; libraries reserve many more than they use
_BEAT = 0.005
_BESIDE = re.compile(  # progress is told where a try takes long
    r"isomer: (warning: |the network runs in |\d+ of \d+ \w+, )"
    "|libpng |Corrupt JPEG data|Premature end of JPEG|Invalid SOS|Unsupported marker"
)


class Outcome(Enum):
    """What may become of a try; all but the first two are faults."""

    right = "right"
    refused = "refused"
    wrong = "wrong"
    traceback = "traceback"
    crash = "crash"
    hang = "hang"
    memory = "over memory"
    leftovers = "leftovers"


@dataclass(frozen=True)
class Verdict:
    """On a try, and what tells it."""

    outcome: Outcome
    said: str = ""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: its exit code, or minus the signal that ended it.
        is_hung: whether it had to be killed because its time was over.
        out, err: what it wrote, as far as its streams were open.
        memory: the most it held at once, in bytes.
        orphans: processes that it left behind.
    """

    code: int
    is_hung: bool
    out: str
    err: str
    memory: int
    orphans: tuple[int, ...]


def run(
    command: Command,
    folder: Path,
    *,
    seconds: float = 90,
    before: Callable[[], object] = lambda: None,
    kill: tuple[signal.Signals, float] | None = None,
    is_group: bool = False,
    is_fresh: bool = False,
) -> Ended:
    """Run a command of `isomer` in a folder, as a session of its own.

    Args:
        command: its words; or what the command would call, which is not `is_fresh` then.
        folder: where it runs; its temporary files go to `tmp` there.
        seconds: after which it hangs.
        before: is called in the process, as the last thing before the command.
        kill: a signal, and the seconds after which it is sent.
        is_group: send the signal to the whole process group, as a terminal does.
        is_fresh: start the interpreter anew; else the process is a fork of this one, which takes hundredths of a
            second.
    """
    (folder / "tmp").mkdir(exist_ok=True)
    streams = [folder / f"tmp.{name}" for name in ("out", "err")]
    pid = os.fork()
    if pid == 0:
        _become(command, folder, streams, before, is_fresh)
    start = time.monotonic()
    is_hung = False
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            break
        elapsed = time.monotonic() - start
        if kill is not None and elapsed >= kill[1]:
            (os.killpg if is_group else os.kill)(pid, kill[0])
            kill = None
        if elapsed > seconds:
            is_hung = True
            os.killpg(pid, signal.SIGKILL)
        time.sleep(_BEAT)
    orphans = orphans_of(pid)
    for orphan in orphans:
        with contextlib.suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)
    out, err = (stream.read_bytes().decode(errors="backslashreplace") for stream in streams)
    for stream in streams:
        stream.unlink()
    return Ended(os.waitstatus_to_exitcode(status), is_hung, out, err, 1024 * usage.ru_maxrss, orphans)


def judge(
    ended: Ended, folder: Path, outputs: Sequence[Path] = (), *, may_partly_fail: bool = False, is_heard: bool = True
) -> Verdict:
    """Judge how a command ended by itself.

    Args:
        ended: how.
        folder: where it ran.
        outputs: what must be there if it did its work, and must not if it refused.
        may_partly_fail: whether the exit code 1 says that some of many inputs were no good.
        is_heard: whether its standard error was open, so that it could say why it refused.
    """
    fault = fault_of(ended, folder)
    if fault is not None:
        return fault
    missing = [path.name for path in outputs if not os.path.lexists(path)]
    if ended.code == 0 or (ended.code == 1 and may_partly_fail):
        return Verdict(Outcome.wrong, f"{missing} missing") if missing and ended.code == 0 else Verdict(Outcome.right)
    if ended.code != 2 or (is_heard and not _is_one_line(ended.err)):
        return Verdict(Outcome.traceback, f"exit code {ended.code}: {ended.err[-2000:]!r}")
    if outputs and len(missing) < len(outputs):
        return Verdict(Outcome.leftovers, f"refused, but not all of {[path.name for path in outputs]} are away")
    return Verdict(Outcome.refused, ended.err)


def fault_of(ended: Ended, folder: Path) -> Verdict | None:
    """Return what no command may do, however it ends: hang, crash, show its insides, leave things."""
    if ended.is_hung:
        return Verdict(Outcome.hang, ended.err[-500:])
    if "Traceback (most recent" in ended.err:
        return Verdict(Outcome.traceback, ended.err[-2000:])
    if ended.code in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGFPE, -signal.SIGILL):
        return Verdict(Outcome.crash, f"{signal.Signals(-ended.code).name}: {ended.err[-500:]}")
    if ended.memory > MOST_MEMORY:
        return Verdict(Outcome.memory, f"{ended.memory / 2**30:.1f} GB: {ended.err[-500:]}")
    left = leftovers(folder)
    if ended.orphans or left:
        return Verdict(
            Outcome.leftovers, f"processes {ended.orphans}, files {left[:5]}: {ended.code} {ended.err[-300:]}"
        )
    return None


def leftovers(folder: Path) -> list[str]:
    """Return hidden files and temporary ones, but for what Ray, PyTorch and ONNX Runtime keep there."""
    paths = {*folder.rglob(".*"), *(folder / "tmp").rglob("*")}
    names = sorted(str(path.relative_to(folder)) for path in paths)
    return [name for name in names if not name.startswith(("tmp/ray", "tmp/torchinductor_", "tmp/.ses"))]


def _become(
    command: Command,
    folder: Path,
    streams: Sequence[Path],
    before: Callable[[], object],
    is_fresh: bool,
) -> None:
    """Turn this process into the command; does not return."""
    code: object = 1
    try:
        os.setsid()
        os.chdir(folder)
        os.environ["TMPDIR"] = str(folder / "tmp")
        for number, stream in enumerate(streams, start=1):
            os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (_CEILING, _CEILING))
        before()
        if is_fresh and not callable(command):
            os.execve(sys.executable, [sys.executable, "-m", "isomer.cli.main", *command], os.environ)
        if callable(command):
            command()
            code = 0
        else:
            code = main([os.fsdecode(word) for word in command])
    except SystemExit as error:
        code = error.code
    except InputError as error:
        print(f"isomer: {error}", file=sys.stderr)
        code = 2
    except BaseException:
        traceback.print_exc()
    finally:
        for open_stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                open_stream.flush()
        os._exit(code if isinstance(code, int) else 1)


def processes_of(session: int) -> tuple[int, ...]:
    """Return the processes of a session that run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, of = entry.read_text().rpartition(")")[2].split()[:4]
            if int(of) == session and state not in "ZX":
                found.append(int(entry.parent.name))
    return tuple(found)


def orphans_of(session: int, seconds: float = 5) -> tuple[int, ...]:
    """Return the processes of a session that still run after a while."""
    deadline = time.monotonic() + seconds
    while (found := processes_of(session)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _is_one_line(said: str) -> bool:
    """Whether it is one line, but for warnings, what runs the network, progress, and what decoders of images print."""
    *others, last = said.splitlines() or [""]
    return last.startswith("isomer: ") and all(map(_BESIDE.match, others))

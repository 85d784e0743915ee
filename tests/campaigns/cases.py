"""The development cases: what people reported, of which each has a right result."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from trial import Outcome, Verdict

FOLDER = Path(__file__).parents[3] / "shared" / "cases"
_SECONDS = 600
# What the cases call has another name now; and a machine that has other work to do needs time.
_RENAMED = {
    "[p for _,p in": "[p.probability for p in",
    "isomer.segment.cache": "isomer.runtime.cache",
    "isomer convert $d/$s $d/o_$s --to masks": "isomer convert $d/$s -o $d/o_$s.d --output masks",
    "odd_mask.mp4 $d/cut.webm": "odd_mask.mp4 -o $d/cut.webm",
    "t.join(60)": "t.join(240)",
    "p.join(30)": "p.join(240)",
}


def _numbers(pattern: str, said: str) -> list[float]:
    return [float(number) for number in re.findall(pattern, said)]


def _same(pattern: str, tolerance: float = 0) -> Callable[[str], bool]:
    """Whether there are numbers, and all of them are within a tolerance of the first."""
    return lambda said: bool(found := _numbers(pattern, said)) and max(abs(n - found[0]) for n in found) <= tolerance


def _near(numbers: list[float], wanted: float, tolerance: float) -> bool:
    return bool(numbers) and all(abs(number - wanted) <= tolerance for number in numbers)


RIGHT: dict[str, Callable[[str], bool]] = {
    "01": lambda said: _numbers(r"counts (\d+)", said) == _numbers(r"masks: (\d+)", said) == [24, 24, 4],
    "02": lambda said: len(found := _numbers(r"b_masks ([\d.]+)", said)) == 3 and min(found) > 0.95,
    "03": lambda said: set(_numbers(r"\d: ([\d.]+)", said)) == {0.0} and "True" not in said,
    "04": lambda said: _near(_numbers(r"(?:format,|transcode: )([\d.]+)", said), 3.33, 0.1),
    "06": lambda said: said.count("notes ('") == 3,
    "07": lambda said: (
        len(re.findall("InputError|ArgumentError", said)) + len(re.findall(r"IoU with the right masks 1\.000", said))
        == 6
    ),
    "08": lambda said: "InputError" in said or "exit code 0" in said,
    "09": lambda said: not re.search("Error|Exception|Could|Incorrect", said),
    "10": lambda said: not re.search(r"(TERM|HUP): \S", said),
    "11": lambda said: _same(r"contrast ([\d.]+)", 5)(said) and _same(r"saturation ([\d.]+)", 5)(said),
    "12": lambda said: "count 40" in said and "warning" not in said,
    "13": lambda said: len(_numbers(r"(\d+)[,\]]", said)) in (0, 40) and "Traceback" not in said,
    "14": lambda said: "40 frames: wrote" in said,
    "15": lambda said: _near(_numbers(r"([\d.]+) s\n", said), 2.7, 0.01),
    "17": lambda said: "Traceback" not in said and "\u65e5\u672c_overlay.mp4" in said,
    "18": lambda said: "in the folder: 10" in said,
    "19": lambda said: "index created" in said,
    "20": lambda said: all(
        _near(_numbers(rf"read \[\s*{before}(\d+)", said), level, 3)
        for before, level in (("", 219), (r"\d+\s+", 29), (r"\d+\s+\d+\s+", 14))  # as BT.709 has what is stored
    ),
}
CASES = [(path.name,) for path in sorted(FOLDER.glob("[0-9]*"))]


def case(folder: Path, samples: Path, random: np.random.Generator, name: str) -> Verdict:
    """Run a case and look for its right result in what it prints."""
    (folder / "bin").mkdir()
    command = folder / "bin" / "isomer"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m isomer.cli.main "$@"\n')
    command.chmod(0o755)
    for source in FOLDER.iterdir():
        text = source.read_text()
        for old, new in _RENAMED.items():
            text = text.replace(old, new)
        (folder / source.name).write_text(text)
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    shell = 'python "$1"' if name.endswith(".py") else 'bash "$1"'
    script = f'. "{folder}/env.sh"; {shell}'
    try:
        done = subprocess.run(
            ["bash", "-c", script, "bash", str(folder / name)],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PATH": path, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(Outcome.hang)
    said = done.stdout.decode(errors="replace")
    return Verdict(Outcome.right if RIGHT[name[:2]](said) else Outcome.wrong, said)

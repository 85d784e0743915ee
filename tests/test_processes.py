"""Workers end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

POOL = """
import os, time
from isomer.processes import process_pool

def work(number):
    print("at work", flush=True)
    time.sleep(600)

if __name__ == "__main__":
    with process_pool(1, "--workers") as pool:
        pool.submit(work, 0).result()
"""

LOADER = """
import time
from isomer.train.build import MicroBatches, build_loader
from isomer.train.config import OptimizerConfig

class Samples:
    def __getitem__(self, index):
        print("at work", flush=True)
        time.sleep(600)

if __name__ == "__main__":
    next(iter(build_loader(Samples(), MicroBatches(OptimizerConfig(steps=1, batch=1), 0, 0, 1), 1, pin=False)))
"""


STAGED = """
import signal
import time
from pathlib import Path
from isomer.files import Stage
from isomer.processes import process_pool

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup has it ignored

def work(folder):
    with Stage() as stage:
        stage.file(folder / "file.png")
        stage.folder(folder / "masks")
        print("at work", flush=True)
        time.sleep(600)

if __name__ == "__main__":
    with process_pool(1, "--workers") as pool:
        pool.submit(work, Path("out").absolute()).result()
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("whom", ["the group", "the parent"])
def test_workers_tidy_up_when_they_are_ended(tmp_path: Path, whom: str, name: str) -> None:
    (tmp_path / "script.py").write_text(STAGED)
    command = [sys.executable, "script.py"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "at work\n"
        (os.killpg if whom == "the group" else os.kill)(parent.pid, getattr(signal, name))
        assert parent.communicate(timeout=20) == ("", None)
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


@pytest.mark.parametrize("script", [POOL, LOADER], ids=["pool", "training"])
def test_workers_end_when_their_parent_is_killed(tmp_path: Path, script: str) -> None:
    """The pipe to which all of them write is closed when the last one has ended."""
    (tmp_path / "script.py").write_text(script)
    with subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "at work\n"
        parent.kill()
        assert parent.communicate(timeout=20) == ("", None)


def test_the_interpreter_does_not_wait_for_the_workers_of_a_training(tmp_path: Path) -> None:
    """As after an error that nobody expects, whose traceback keeps the loop's variables."""
    script = LOADER.replace("    next(", "    batches = (").replace(" 1, pin", " 2, pin") + "    raise RuntimeError\n"
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], timeout=60, capture_output=True, text=True)
    assert done.returncode == 1
    assert "\nRuntimeError\n" in done.stderr

"""A seeded part of the campaign, of the kinds that are quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("the campaign looks into /proc", allow_module_level=True)
for extra in ("torch", "safetensors", "pydantic", "yaml", "ray"):
    pytest.importorskip(extra)

KINDS = ["media", "images", "documents", "manifests", "recipes", "checkpoints", "flows", "zips", "streams", "names"]


def test_every_try_ends_in_the_right_result_or_one_line(tmp_path: Path) -> None:
    command = [sys.executable, Path(__file__).with_name("run.py"), "--share", "0.03", *KINDS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tried = {
        cells[0]: int(cells[1]) for line in done.stdout.splitlines()[2:] if (cells := line.strip("| ").split(" | "))
    }
    assert tried.keys() == set(KINDS)
    assert min(tried.values()) > 0

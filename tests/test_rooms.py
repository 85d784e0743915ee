"""Which room of the package imports from which.

    media ──▶ flow ──▶ runtime ──▶ segment ──▶ cli, serve, cluster, benchmark, doctor
      │         │         ▲
      │         │ model ──┴────────────┐
      │         └──▶ data ──────────▶ train
      └──▶ metrics ──▶ evaluate ──▶ cli    (metrics ──▶ train, doctor)

A room may also import what those to its left may. `data` makes flow to train on; `train` validates with `metrics`;
`serve` and `doctor` draw a scene of `data.synthetic` to try things on; the verbs of `cli` call every room. `isomer`
itself has the version, which users on the right say. What any room may import are the base modules: `openvino_core` is
one because `flow` and `runtime` share the process's one OpenVINO, `networks` because `flow` and `segment` run some of
their own. Imports for type checkers alone are free: they name what is passed through.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import isomer

HOME = Path(isomer.__file__).parent
ROOMS = {path.parent.name for path in HOME.glob("*/__init__.py")}
BASE = {path.stem for path in HOME.glob("*.py")} - {"__init__", "__main__"}
LEFT = {
    "isomer": set[str](),
    "media": set[str](),
    "flow": {"media"},
    "model": set[str](),
    "runtime": {"flow", "model"},
    "segment": {"runtime"},
    "data": {"flow"},
    "metrics": {"media"},
    "train": {"data", "model", "metrics"},
    "evaluate": {"metrics"},
    "serve": {"segment", "data", "isomer"},
    "cluster": {"segment"},
    "benchmark": {"segment"},
    "doctor": {"segment", "data", "metrics"},
    "cli": ROOMS | {"isomer"},
}


def reachable(room: str) -> set[str]:
    return LEFT[room] | {farther for near in LEFT[room] - {room} for farther in reachable(near)}


def imported(node: ast.AST) -> Iterator[str]:
    """Yield the rooms and base modules that code imports."""
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "a relative import"
        names = [f"{node.module}.{name}" for name in names]
    for package, *modules in (name.split(".") for name in names):
        if package == "isomer":
            yield modules[0] if modules and modules[0] in ROOMS | BASE else "isomer"
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def imports_of(files: list[Path]) -> dict[str, set[str]]:
    return {str(file.relative_to(HOME)): set(imported(ast.parse(file.read_text()))) for file in files}


def test_every_room_is_known() -> None:
    assert set(LEFT) == ROOMS | {"isomer"}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_from_its_left_alone(room: str) -> None:
    allowed = BASE | reachable(room) | {room}
    imports = imports_of(list((HOME / room).rglob("*.py")))
    assert any(imports.values())
    assert {file: found - allowed for file, found in imports.items() if found - allowed} == {}


def test_base_modules_import_from_no_room() -> None:
    imports = imports_of([HOME / f"{name}.py" for name in BASE])
    assert {file: found - BASE for file, found in imports.items() if found - BASE} == {}

"""The library speaks to those who call it: options of the command are named by the command alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import isomer

ROOT = Path(isomer.__file__).parent
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def said(file: Path) -> Iterator[str]:
    """Yield the strings of a module that are no docstrings."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {node.body[0] for node in ast.walk(tree) if isinstance(node, DOCUMENTED) and node.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and node in docstrings:
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Constant) and isinstance(child.value, str):
                yield child.value


def test_no_message_of_the_library_has_the_dashes_of_an_option() -> None:
    """The server's limits are options, as only the command line starts it."""
    files = [file for file in ROOT.rglob("*.py") if not {"cli", "serve"} & set(file.relative_to(ROOT).parts)]
    assert len(files) > 100
    found = [(file.name, text) for file in files for text in said(file) if re.search(r"--[a-z]{2}", text)]
    assert [text for _, text in found if "pip install" not in text] == []

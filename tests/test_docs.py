from __future__ import annotations

import argparse
import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from isomer.cli.main import build_parser
from isomer.media import OUTPUTS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "benchmarks/README.md",
    *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md"))),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(module, reason="the documentation needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Page(HTMLParser):
    """What a page links to and loads, what can be linked to in it, and its text."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if "src" in values:
            self.loaded.append(values["src"])
        if "href" in values:
            (self.links if tag == "a" else self.loaded).append(values["href"])

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def test_builds_without_warnings(site) -> None:
    """A page that is not in the navigation, or a link into nothing, is one."""
    assert all((site / page.name).with_suffix(".html").is_file() for page in (ROOT / "docs").glob("*.md"))


def test_internal_links_lead_somewhere(site, pages) -> None:
    for path, page in pages.items():
        for link in page.links + page.loaded:
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            found = (path.parent / unquote(target.path)).resolve() if target.path else path
            found = found / "index.html" if found.is_dir() else found
            assert found.is_file(), f"{path.name} links to {link}"
            if target.fragment and found in pages:
                assert unquote(target.fragment) in pages[found].ids, f"{path.name} links to {link}"


def test_nothing_is_loaded_from_elsewhere(pages) -> None:
    for path, page in pages.items():
        for address in page.loaded:
            assert not urlsplit(address).netloc, f"{path.name} loads {address}"


def test_every_verb_and_option_is_described(site, pages) -> None:
    page = pages[site / "cli.html"]
    actions = [a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    verbs = actions[0].choices
    assert "segment" in verbs
    for name, verb in verbs.items():
        assert f"isomer-{name}" in page.ids
        for action in verb._actions:
            for option in action.option_strings:
                assert option in page.text, f"isomer {name} {option}"


def test_every_kind_of_output_is_described() -> None:
    page = (ROOT / "docs" / "segment.md").read_text(encoding="utf-8")
    formats = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)`[ *]+\| (.*) \|$", formats, flags=re.MULTILINE))
    assert rows.keys() == OUTPUTS.keys()
    for kind, output in OUTPUTS.items():
        assert f"`{kind}`" in page
        assert rows[kind].startswith(f"{output.help} | `clip{output.suffix}{'/' if output.is_folder else ''}` | ")


def test_pictures_are_small() -> None:
    pictures = [path for path in (ROOT / "docs" / "images").iterdir() if path.is_file()]
    assert pictures
    for picture in pictures:
        assert picture.stat().st_size < 200_000, picture.name


def _blocks(page: str, *languages: str) -> Iterator[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        if language in languages:
            yield block


@pytest.mark.parametrize("page", PAGES)
def test_python_compiles_and_imports_what_exists(page) -> None:
    for block in _blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("isomer"):
                module = import_module(node.module)
                assert all(hasattr(module, alias.name) for alias in node.names), ast.unparse(node)
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "isomer":
                assert hasattr(import_module("isomer"), node.attr), ast.unparse(node)


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_understood(page, capsys) -> None:
    """Every `isomer ...` of a shell block is parsed by the program."""
    for block in _blocks(page, "sh", "bash", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            for command in line.removeprefix("$ ").split("&&"):
                words = shlex.split(command, comments=True)
                if words[:1] != ["isomer"]:
                    continue
                try:
                    build_parser().parse_args(words[1:])
                except SystemExit:
                    pytest.fail(f"{command.strip()}: {capsys.readouterr().err.splitlines()[-1]}")

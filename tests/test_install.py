"""What the README, the documentation and messages tell people to install, and what is built and shipped."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import isomer
from isomer.cli.main import build_parser
from isomer.errors import how_to_install
from isomer.model.weights import EMBEDDED

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("docs/**/*.py"),
    *ROOT.glob("benchmarks/*.md"),
    *ROOT.glob("benchmarks/*.py"),
    *ROOT.glob("configs/*.yaml"),
    *ROOT.glob("src/isomer/weights/*.md"),
    *ROOT.glob(".github/**/*.yml"),
    *(ROOT / name for name in ("Dockerfile", "mkdocs.yml", "hubconf.py", "constraints.txt", ".pre-commit-config.yaml")),
]
_WORD = r"(?:\"[^\"\n]+\"|[\w./<>=\[\]-]+)"
_COMMAND = re.compile(rf"pip install ({_WORD}(?: {_WORD})*)")


def texts() -> Iterator[str]:
    """All that people read: pages, the notebook's cells, strings of the program."""
    yield from (page.read_text(encoding="utf-8") for page in PAGES)
    for notebook in ROOT.glob("examples/*.ipynb"):
        yield from ("".join(cell["source"]) for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"])
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def extras_of_messages() -> Iterator[str]:
    """The extras that messages of missing packages name."""
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                place = {"how_to_install": 0, "require": 1}.get(node.func.id)
                if place is not None and node.args[place:] and isinstance(node.args[place], ast.Constant):
                    yield node.args[place].value


def commands() -> list[str]:
    """What follows `pip install` anywhere."""
    messages = map(how_to_install, ["", *extras_of_messages()])
    return sorted({match[1] for text in (*texts(), *messages) for match in _COMMAND.finditer(text)})


def project() -> dict[str, Any]:
    """The metadata of pyproject.toml."""
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_nobody_is_told_to_get_the_package_from_an_index() -> None:
    for text in texts():
        assert "isomer-vos[" not in text
        assert not any("isomer" in command for command in _COMMAND.findall(text))
        assert "pip install '" not in text, "double quotes are understood by PowerShell and cmd as well"


def test_commands_name_extras_that_exist() -> None:
    known = set(project()["optional-dependencies"])
    named = {
        extra for command in commands() for words in re.findall(r"\.\[(.+)\]", command) for extra in words.split(",")
    }
    assert {"torch", "train", "test", "serve"} <= named <= known


@pytest.fixture(scope="module")
def pip() -> list[str]:
    """The dry run of an installation into this environment, where there is an index to ask."""
    dry_run = [sys.executable, "-m", "pip", "install", "--dry-run", "-q", "--disable-pip-version-check"]
    probe = [*dry_run, "--ignore-installed", "--no-deps", "--retries", "0", "hatchling"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no package index can be reached from here, or this environment has no pip")
    return dry_run


@pytest.mark.parametrize("command", commands())
def test_commands_are_understood_by_pip(pip: list[str], command: str) -> None:
    done = subprocess.run([*pip, *shlex.split(command)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "does not provide the extra" not in done.stderr


def test_the_dockerfile_installs_as_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"<!-- container -->\n```bash\n(.+)\n```", readme)
    assert [command for name, command in instructions() if name == "RUN" and "pip" in command] == [line]


def instructions() -> list[tuple[str, str]]:
    """Those of the Dockerfile, with what each is given."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_dockerfile_has_what_it_needs() -> None:
    found = instructions()
    given = dict(found)
    assert found[0][0] == "FROM"
    assert given["FROM"].split(":")[1].removesuffix("-slim") in " ".join(project()["classifiers"])
    copied = {source for name, rest in found if name == "COPY" for source in rest.split()[:-1]}
    assert all((ROOT / source).exists() for source in copied)
    needed = {"pyproject.toml", "src", project()["readme"], *project()["license-files"]}
    assert {path.split("/")[0] for path in needed} == copied


def test_the_container_serves_as_an_ordinary_user_and_is_asked_for_its_health() -> None:
    found = instructions()
    given = dict(found)
    assert given["USER"] == "isomer"
    assert [name for name, _ in found].index("USER") < [name for name, _ in found].index("ENTRYPOINT")
    entry, arguments = json.loads(given["ENTRYPOINT"]), json.loads(given["CMD"])
    assert entry == [f"{given['WORKDIR']}/.venv/bin/isomer"]
    serve = build_parser().parse_args(arguments)
    assert str(serve.data) == given["VOLUME"]
    assert str(serve.port) == given["EXPOSE"]
    python, option, code = json.loads(given["HEALTHCHECK"].partition("CMD ")[2])
    assert (python, option) == ("python3", "-c")
    assert f"http://127.0.0.1:{serve.port}/health" in code
    ast.parse(code)


def test_version_and_date_are_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert citation["version"] == isomer.__version__
    released = re.findall(r"^## (\S+) - (\S+)$", changelog, flags=re.MULTILINE)
    assert released[0] == (isomer.__version__, citation["date-released"])


def test_terms_cover_the_weights_that_ship() -> None:
    terms = (ROOT / "LICENSES" / "LicenseRef-Isomer-Weights.txt").read_text(encoding="utf-8")
    for weights in [*EMBEDDED.glob("isomer_*.onnx"), *EMBEDDED.glob("isomer_*.safetensors")]:
        assert weights.name in terms


def test_a_report_of_something_wrong_needs_what_the_doctor_says() -> None:
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8"))
    (field,) = [field for field in form["body"] if field["id"] == "doctor"]
    assert "isomer doctor" in field["attributes"]["description"]
    assert field["validations"]["required"] is True


def test_hooks_run_the_pinned_tools() -> None:
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    for hook in repository["hooks"]:
        python, option, tool, *_ = shlex.split(hook["entry"])
        assert (python, option, hook["language"]) == ("python", "-m", "system")
        assert tool in pinned

"""Pages that are made when the site is built, from what they describe, so that they cannot go stale."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from isomer.cli.main import build_parser

_ROOT = Path(__file__).parents[2]
_VERBS = "<!-- verbs -->"
_CARDS = "<!-- cards -->"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what was measured to the site."""
    figures = (_ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "benchmarks.md", content=figures.replace("](../docs/", "](")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill the verbs and the model cards in, and lead to the page of what was measured."""
    if _VERBS in markdown:
        markdown = markdown.replace(_VERBS, "\n".join(_describe(build_parser(), 1)))
    if _CARDS in markdown:
        cards = sorted((_ROOT / "src" / "isomer" / "weights").glob("*.md"))
        markdown = markdown.replace(_CARDS, "\n".join(_demoted(card.read_text("utf-8")) for card in cards))
    return markdown.replace("](../benchmarks/README.md", "](benchmarks.md")


def _demoted(markdown: str) -> str:
    """Push every heading one level down."""
    blocks = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    blocks[::2] = [re.sub(r"^#", "##", block, flags=re.MULTILINE) for block in blocks[::2]]
    return "".join(blocks)


def _describe(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    """Yield the lines of a command's section, then those of its verbs."""
    formatter = argparse.HelpFormatter(parser.prog, max_help_position=0, width=100)
    arguments, verbs = list[argparse.Action](), dict[str, argparse.ArgumentParser]()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            verbs |= action.choices
        elif not isinstance(action, argparse._HelpAction) and action.help != argparse.SUPPRESS:
            arguments.append(action)
    if level > 1:
        yield f"\n{'#' * level} {parser.prog}\n"
        yield _text(parser.description or "")
        formatter.add_usage(None, parser._actions, parser._mutually_exclusive_groups, prefix="")
        yield f"\n```text\n{formatter.format_help().strip()}\n```\n"
    if level > 1 and arguments:
        yield "| argument | |\n| --- | --- |"
        for action in arguments:
            invocation = formatter._format_action_invocation(action)
            meaning = formatter._expand_help(action) if action.help else ""
            yield f"| `` {_cell(invocation)} `` | {escape(_cell(meaning), quote=False)} |"
    if parser.epilog:
        yield f"\n```text\n{parser.epilog}\n```\n"
    for verb in verbs.values():
        yield from _describe(verb, level + 1)


def _text(description: str) -> str:
    """Leave code as it is and let nothing else read as HTML."""
    parts = re.split(r"(`[^`]*`)", description)
    parts[::2] = [escape(part, quote=False) for part in parts[::2]]
    return "".join(parts)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")

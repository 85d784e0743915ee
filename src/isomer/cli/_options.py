"""Arguments that several verbs share, and how a verb says what it did."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from isomer.errors import InputError
from isomer.options import Adjustments, Option, OptionGroup, VideoOptions, default_of, options_of
from isomer.serve.options import Limits

_Group = TypeVar("_Group", bound=OptionGroup)

TRAINING = ("train", "torch", "safetensors", "lightning_fabric", "pydantic", "yaml", "tensorboard")
"""What verbs that train need."""


def flag(name: str) -> str:
    """Return how the command line spells the name of an option or of an argument."""
    return "--output" if name == "outputs" else f"--{name.replace('_', '-')}"


def add_options(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    group: type[OptionGroup],
    *,
    only: Collection[str] = (),
    without: Collection[str] = (),
    defaults: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Declare the options of a group: all, those of `only`, or those not `without`; `chosen` checks their values.

    Some may have other defaults here than elsewhere.
    """
    for name, said in options_of(group).items():
        said = replace(said, default=defaults.get(name, said.default))
        if name not in without and (name in only or not only):
            if name == "outputs":
                add_output_argument(parser, said.default, f"{said.help} (default: {' '.join(said.default)})")
            else:
                parser.add_argument(flag(name), dest=name, default=said.default, **_more(name, said))


def add_output_argument(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, default: Sequence[str], meaning: str
) -> None:
    """Declare --output, which takes kinds of output, and list these below all arguments."""
    from isomer.media import OUTPUTS  # by verbs that need it anyway

    parser.add_argument(
        flag("outputs"),
        dest="outputs",
        default=default,
        nargs="+",
        type=_kind_of_output,
        choices=tuple(OUTPUTS),
        metavar="KIND",
        help=meaning,
    )
    kinds = (f"  {kind:<15}{output.help}" for kind, output in OUTPUTS.items())
    parser.epilog = "\n".join(("kinds of output:", *kinds))  # type: ignore[union-attr]


def _more(name: str, said: Option) -> dict[str, Any]:
    """Return what argparse is to know of an option besides its name and default."""
    if said.kind is bool:
        return {"action": argparse.BooleanOptionalAction if said.default else "store_true", "help": said.help}
    if said.kind is tuple:
        return {"nargs": "+", "metavar": "OBJECT", "help": said.help}
    default = f" (default: {default})" if (default := default_of(name, said)) else ""
    more = {"metavar": "N"} if said.kind is int else {}
    return more | {"type": lambda text: convert(text, said.kind), "help": said.help + default}


def _kind_of_output(text: str) -> str:
    """Return the name of a kind of output; what is none, such as an input behind the kinds, is said with its remedy."""
    from isomer.media import find_output

    try:
        find_output(text)
    except InputError as error:
        is_path = Path(text).exists() or len(Path(text).parts) > 1 or Path(text).suffix
        what = f"{text}: no kind of output; put the input before --output" if is_path else str(error)
        raise argparse.ArgumentTypeError(what) from None
    return text


def convert(text: str, kind: type) -> object:
    """Convert what was typed; what cannot be converted is left to `Option.check`, which says what is wanted."""
    try:
        return kind(text)
    except ValueError:
        return text


def add_server_options(parser: argparse.ArgumentParser, **limits: int) -> None:
    """Declare how a server segments, and its limits: a job has all its frames, and outputs as they are asked for.

    `limits` are those that are others by default.
    """
    adjusted = options_of(Adjustments).keys() - {"threshold"}
    without = ("outputs", "keep", "drop", "stride", "max_pixels", "background", "fit", "premultiplied", *adjusted)
    add_options(parser, VideoOptions, without=without)
    add_options(parser.add_argument_group("limits"), Limits, defaults=limits)


def chosen(group: type[_Group], arguments: argparse.Namespace) -> _Group:
    """Return the options of a group as they were given, those that the verb does not offer at their defaults.

    Raises:
        ArgumentError: one is out of its range.
    """
    given = vars(arguments)
    return group(**{name: given[name] for name in options_of(group) if name in given})


def add_max_pixels(parser: argparse.ArgumentParser) -> None:
    """Declare --max-pixels alone, for a verb that reads images and segments none."""
    add_options(parser, VideoOptions, only=("max_pixels",))


def max_pixels_of(arguments: argparse.Namespace) -> int:
    """Return what was given, or the default.

    Raises:
        ArgumentError: it is out of its range.
    """
    return VideoOptions(max_pixels=arguments.max_pixels).max_pixels


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Declare --json, for `report`."""
    parser.add_argument("--json", action="store_true", help="print what was done as JSON, and nothing else")


def report(arguments: argparse.Namespace, text: str, **figures: object) -> None:
    """Print what was done: as JSON if that is asked for, else in words unless all is to be quiet."""
    if getattr(arguments, "json", False):
        print(json.dumps(figures, indent=2, default=str))
    elif not arguments.quiet:
        print(text)


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare a recipe and what overrides it: CONFIG and KEY=VALUE."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="the recipe")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="entries to override, dots between keys")

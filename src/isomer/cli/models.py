"""List the models, or show the card of one: its data, recipe, figures, limits and licence."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="show this model's card")


def run(arguments: argparse.Namespace) -> int:
    """Print the list or the card."""
    from isomer.model.zoo import has_weights, list_models, model_card

    if arguments.name:
        print(model_card(arguments.name), end="")
        return 0
    for name in list_models():
        print(f"{name:26} {'weights come with the package' if has_weights(name) else 'give it weights of your own'}")
    return 0

"""Choosing some of a dataset's sequences: by name, by a list, by a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from isomer.errors import InputError, reason

DAVIS16_VAL = (
    "blackswan",
    "bmx-trees",
    "breakdance",
    "camel",
    "car-roundabout",
    "car-shadow",
    "cows",
    "dance-twirl",
    "dog",
    "drift-chicane",
    "drift-straight",
    "goat",
    "horsejump-high",
    "kite-surf",
    "libby",
    "motocross-jump",
    "paragliding-launch",
    "parkour",
    "scooter-black",
    "soapbox",
)
"""The 20 validation sequences of DAVIS-2016."""

T = TypeVar("T")


def select_sequences(dataset: str | Path, sequences: Mapping[str, T], names: Sequence[str]) -> dict[str, T]:
    """Keep the named sequences, in the dataset's order.

    Args:
        dataset: where they are from, for messages.
        sequences: all of them, by name.
        names: sequence names, `davis16-val`, or text files of one sequence a line (or in the form of DAVIS'
            ImageSets, whose lines start with an image's path). All sequences if there are none.

    Raises:
        InputError: a name is none of these, or a file cannot be read.
    """
    wanted: list[str] = []
    for name in names:
        if name in sequences:
            wanted.append(name)
        elif name == "davis16-val":
            wanted.extend(DAVIS16_VAL)
        elif Path(name).is_file():
            wanted.extend(_listed(Path(name)))
        else:
            raise InputError(f"{name}: neither a sequence of {dataset} nor a file that lists some")
    if missing := [name for name in wanted if name not in sequences]:
        raise InputError(f"{dataset}: has no sequence {', '.join(missing)}; check the folder and the list")
    return {name: value for name, value in sequences.items() if not names or name in wanted}


def _listed(path: Path) -> list[str]:
    try:
        lines = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: no list of sequences that can be read ({reason(error)}); give a text file"
        ) from error
    return list(dict.fromkeys(Path(line).parent.name if "/" in line else line for line in lines))

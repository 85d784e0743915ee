"""Where a model's weights are: found without importing PyTorch, which takes seconds."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

SUFFIXES = (".safetensors", ".pth")

EMBEDDED = Path(str(resources.files("isomer"))) / "weights"
"""The weights that come with the package: `<name>.safetensors`, and its card `<name>.md`."""


def is_path(model: str | Path) -> bool:
    """Tell whether a model is given by the path of its weights, not by its name."""
    return isinstance(model, Path) or model.endswith(SUFFIXES)


def find_weights(model: str | Path) -> Path | None:
    """Return the file of a model given by its path, or by its name if its weights come with the package.

    None where there is no such file: `isomer.model.zoo.create_model` then says what is wrong.
    """
    file = Path(model) if is_path(model) else EMBEDDED / f"{model}.safetensors"
    return file if file.is_file() else None

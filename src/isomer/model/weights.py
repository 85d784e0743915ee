"""Where a model's weights are: found without importing PyTorch, which takes seconds."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

SUFFIXES = (".safetensors", ".pth")

_EMBEDDED = resources.files("isomer") / "weights"


def find_weights(model: str | Path) -> Path | None:
    """Return the file of a model given by its path, or by its name if its weights come with the package.

    None where there is no such file: `isomer.model.zoo.create_model` then says what is wrong.
    """
    is_path = isinstance(model, Path) or model.endswith(SUFFIXES)
    file = Path(model) if is_path else Path(str(_EMBEDDED / f"{model}.safetensors"))
    return file if file.is_file() else None

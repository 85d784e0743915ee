"""Where a model's weights are: found without importing PyTorch, which takes longer than segmenting a frame."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

SUFFIXES = (".safetensors", ".pth")

_EMBEDDED = resources.files("isomer") / "weights"


def find_weights(model: str | Path) -> Path | None:
    """Return the file of a model given by its path, or by its name if its weights come with the package."""
    if isinstance(model, Path) or model.endswith(SUFFIXES):
        return Path(model)
    embedded = Path(str(_EMBEDDED / f"{model}.safetensors"))
    return embedded if embedded.is_file() else None

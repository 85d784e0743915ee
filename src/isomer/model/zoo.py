"""Networks by name."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from isomer.errors import InputError, require
from isomer.model import weights
from isomer.model.config import FusionName, IsomerConfig

if TYPE_CHECKING:
    from isomer.model.network import Isomer

_MODELS: dict[str, IsomerConfig] = {
    "isomer_mobilenet_v2": IsomerConfig("mobilenet_v2"),
    "isomer_efficientnet_lite0": IsomerConfig("efficientnet_lite0"),
    "isomer_efficientnet_lite2": IsomerConfig("efficientnet_lite2"),
    "isomer_mit_b0": IsomerConfig("mit_b0", head_width=64),
    "isomer_swin_tiny": IsomerConfig("swin_tiny", head_width=192),
}


def list_models() -> list[str]:
    """Return the names that `create_model` knows."""
    return list(_MODELS)


def has_weights(name: str) -> bool:
    """Tell whether weights for a model come with the package."""
    return weights.find_checkpoint(name) is not None


def model_card(name: str) -> str:
    """Return the card of a model's weights, in Markdown: data, recipe, figures, limits, licence.

    Raises:
        InputError: the name is unknown, or no weights for it come with the package.
    """
    if name not in _MODELS:
        raise InputError(_unknown(name))
    card = weights.EMBEDDED / f"{name}.md"
    if not card.is_file():
        raise InputError(_no_weights(name))
    return card.read_text(encoding="utf-8")


def create_model(name_or_path: str | Path, pretrained: bool = True, fusion: FusionName | None = None) -> Isomer:
    """Build a network by its name, or read one from a file.

    Args:
        name_or_path: one of `list_models()`, or a path that ends in .safetensors or .pth.
        pretrained: with a name, load the weights that come with the package; otherwise they are random. A
            path always has its own.
        fusion: how frame and flow are fused (see `IsomerConfig`). Default: the weights' own, and `isomer` for
            random ones.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        InputError: the name is unknown, has no weights in the package, or its weights have another fusion; or
            the file is refused (see `load_checkpoint`).
        MissingPackageError: PyTorch is not installed.
    """
    name = str(name_or_path)
    if not weights.is_path(name_or_path):
        if name not in _MODELS:
            raise InputError(_unknown(name))
        if not pretrained:
            return _random(name, fusion)
        if not has_weights(name):
            raise InputError(f"{_no_weights(name)}; give a path to weights, or pretrained=False for random ones")
    elif weights.find_graph(name):
        raise InputError(f"{name}: holds a network for other runtimes; give the checkpoint that it was made from")
    model = _read(weights.find_checkpoint(name_or_path) or Path(name))
    if fusion is not None and model.config.fusion != fusion:
        raise InputError(
            f"{name}: its weights have the fusion '{model.config.fusion}', not '{fusion}'; "
            "leave the fusion out, or ask for a model by name with pretrained=False"
        )
    return model


def _random(name: str, fusion: FusionName | None) -> Isomer:
    require(name, "torch", "torch", "safetensors")
    from isomer.model.network import Isomer

    config = _MODELS[name]
    return Isomer(IsomerConfig(config.encoder, fusion or config.fusion, config.head_width)).eval()


def _read(path: Path) -> Isomer:
    require(path.name, "torch", "torch", "safetensors")
    from isomer.model.checkpoint import load_checkpoint

    return load_checkpoint(path)


def _no_weights(name: str) -> str:
    with_weights = ", ".join(known for known in _MODELS if has_weights(known)) or "none"
    return f"{name}: no weights come with the package (those with weights: {with_weights})"


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, _MODELS, n=1, cutoff=0.5)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return (
        f"{name}: unknown model{hint}; choose from {', '.join(_MODELS)}, or give a path that ends in "
        f"{', '.join(weights.CHECKPOINTS + weights.GRAPHS)}"
    )

"""Where a model's files are: found without PyTorch.

A model is given by its name, by a checkpoint that PyTorch reads, or by a graph: a file that holds the network with its
weights, as OpenVINO and ONNX Runtime read it.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

CHECKPOINTS = (".safetensors", ".pth")
GRAPHS = (".onnx", ".xml")

EMBEDDED = Path(str(resources.files("isomer"))) / "weights"
"""What comes with the package: of each model `<name>.safetensors`, the same as `<name>.onnx`, its card `<name>.md`, and
perhaps `<name>_int8.xml` with its `.bin`, the network in 8-bit integers for OpenVINO."""


def is_path(model: str | Path) -> bool:
    """Tell whether a model is given by the path of a file, not by its name."""
    return isinstance(model, Path) or model.endswith(CHECKPOINTS + GRAPHS)


def find_checkpoint(model: str | Path) -> Path | None:
    """Return the checkpoint of a model given by its path, or by its name if its weights come with the package.

    None where there is no such file: `isomer.model.zoo.create_model` then says what is wrong.
    """
    file = Path(model) if is_path(model) else EMBEDDED / f"{model}.safetensors"
    return file if file.suffix in CHECKPOINTS and file.is_file() else None


def find_graph(model: str | Path) -> Path | None:
    """Return the graph of a model given by its path, whether it is there or not, or of a name if it has one."""
    if is_path(model):
        return Path(model) if str(model).endswith(GRAPHS) else None
    file = EMBEDDED / f"{model}.onnx"
    return file if file.is_file() else None


def find_integers(name: str) -> Path | None:
    """Return the OpenVINO file of a model, given by its name, in 8-bit integers, if it has one."""
    file = EMBEDDED / f"{name}_int8.xml"
    return file if not is_path(name) and file.is_file() else None

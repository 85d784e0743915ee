"""Networks as files for other runtimes, checked against PyTorch before they are put in their place."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from isomer.errors import InputError, require
from isomer.files import atomic_path
from isomer.model.checkpoint import load_checkpoint, read_metadata, save_model
from isomer.model.network import Isomer
from isomer.runtime.conversion import (
    INPUTS,
    Graph,
    graph_of,
    stored_in_half,
    to_exported_program,
    to_onnx,
    to_openvino,
)

_TOLERANCE = 1e-3
_Runner = Callable[[NDArray[np.generic], NDArray[np.generic]], NDArray[np.float32]]


class Format(NamedTuple):
    """How a network is written, and read again to be checked.

    Attributes:
        suffix: of the file.
        packages: needed beside PyTorch.
        any_batch: whether the file takes more than one image at a time.
        write: writes a graph to a path.
        load: reads it in its runtime.
    """

    suffix: str
    packages: tuple[str, ...]
    any_batch: bool
    write: Callable[[Graph, Path], None]
    load: Callable[[Path], _Runner]


def export_network(network: Isomer, path: str | Path, kind: str, *, processing: bool = True) -> float:
    """Write a network as a file that other runtimes run, for any size in whole strides.

    ONNX and OpenVINO files take any batch; a `torch.export` program takes one image at a time.

    Args:
        network: to export.
        path: the file; OpenVINO puts its weights beside it, in `.bin`.
        kind: one of FORMATS.
        processing: whether the file takes uint8 images [B, H, W, 3] and gives probabilities [B, H, W], or
            takes normalised float32 [B, 3, H, W] and gives logits [B, 1, H, W].

    Returns:
        The largest difference between the file's probabilities, or sigmoids of its logits, and PyTorch's over
        images of two sizes.

    Raises:
        InputError: the path has another suffix or cannot be written, or a package is missing.
        RuntimeError: the file does not compute what PyTorch does; it is not kept.
    """
    path = Path(path)
    check_file(path, kind)
    _, _, any_batch, write, load = FORMATS[kind]
    graph = graph_of(network, processing=processing)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        write(graph, made)
        return _checked(graph, made, path, load, 3 if any_batch else 1)


def export_package(checkpoint: Path, path: str | Path) -> float:
    """Write what the package ships of a model: checkpoint and graph with the same weights, both stored as float16.

    Args:
        checkpoint: the network to ship; what its file remembers about the weights is kept.
        path: `<name>.onnx`; `<name>.safetensors` goes beside it.

    Returns:
        The largest difference between the probabilities of the two; see `export_network`.

    Raises:
        InputError: as `export_network`.
        RuntimeError: the graph does not compute what PyTorch does; neither file is kept.
    """
    path = Path(path)
    check_file(path, "onnx")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        weights = made.with_suffix(".safetensors")
        save_model(load_checkpoint(checkpoint), weights, read_metadata(checkpoint), half=True)
        graph = graph_of(load_checkpoint(weights))
        program = to_onnx(graph).model_proto
        stored_in_half(program)
        made.write_bytes(program.SerializeToString(deterministic=True))
        return _checked(graph, made, path, _load_onnx, 3)


def check_file(path: Path, kind: str) -> None:
    """Raise InputError if a path has not the suffix of a format, or a package that writes it is missing."""
    suffix, packages, *_ = FORMATS[kind]
    if path.suffix != suffix:
        raise InputError(f"{path}: not a name for this format; end it in {suffix}")
    require(f"the format {kind}", "export", *packages)


def _checked(graph: Graph, made: Path, path: Path, load: Callable[[Path], _Runner], largest_batch: int) -> float:
    difference = _difference(graph, load(made), largest_batch)
    if difference > _TOLERANCE:
        raise RuntimeError(f"the exported network differs from PyTorch's by {difference:.2g}")
    put_in_place(made, path)
    return difference


def put_in_place(made: Path, path: Path) -> None:
    """Write what is in the folder of `made`, which has its name, to the folder of `path`; InputError if that fails."""
    for file in sorted(made.parent.iterdir(), reverse=True):  # .xml after its .bin
        with atomic_path(path.with_name(file.name)) as temporary:
            temporary.write_bytes(file.read_bytes())


def _difference(graph: Graph, run: _Runner, largest_batch: int) -> float:
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    for batch, rows, columns in ((1, 5, 3), (largest_batch, 2, 4)):
        shape = list(graph.examples[0].shape)
        shape[0] = batch
        shape[graph.height : graph.height + 2] = rows * graph.stride, columns * graph.stride
        images = torch.rand(2, *shape, generator=generator)
        if graph.examples[0].dtype == torch.uint8:
            images = (images * 255).to(torch.uint8)
        with torch.no_grad():
            expected = graph.module(images[0], images[1])
        found = torch.from_numpy(run(images[0].numpy(), images[1].numpy()))
        if graph.output == "logits":
            expected, found = expected.sigmoid(), found.sigmoid()
        largest = max(largest, float((expected - found).abs().max()))
    return largest


def _write_onnx(graph: Graph, path: Path) -> None:
    to_onnx(graph).save(path)


def _load_onnx(path: Path) -> _Runner:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda frames, flows: np.asarray(session.run(None, dict(zip(INPUTS, (frames, flows), strict=True)))[0])


def _write_openvino(graph: Graph, path: Path) -> None:
    from isomer.openvino_core import ov

    ov.save_model(to_openvino(graph), path, compress_to_fp16=False)


def _load_openvino(path: Path) -> _Runner:
    from isomer.openvino_core import core

    compiled = core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda frames, flows: np.asarray(compiled([frames, flows])[0])


def _write_torch(graph: Graph, path: Path) -> None:
    torch.export.save(to_exported_program(graph, any_batch=False), path)


def _load_torch(path: Path) -> _Runner:
    module = torch.export.load(path).module()

    def run(frames: NDArray[np.generic], flows: NDArray[np.generic]) -> NDArray[np.float32]:
        with torch.no_grad():
            output: NDArray[np.float32] = module(torch.from_numpy(frames), torch.from_numpy(flows)).numpy()
        return output

    return run


FORMATS = {
    "onnx": Format(".onnx", ("onnx", "onnxscript", "onnxruntime"), True, _write_onnx, _load_onnx),
    "openvino": Format(".xml", ("openvino",), True, _write_openvino, _load_openvino),
    "torch": Format(".pt2", (), False, _write_torch, _load_torch),
}
"""Formats by name."""

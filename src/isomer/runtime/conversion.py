"""From PyTorch to OpenVINO, ONNX and `torch.export`, for any batch and any size in whole strides."""

from __future__ import annotations

import ast
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from isomer.files import atomic_path
from isomer.model.network import Isomer
from isomer.runtime.uint8_network import Uint8Network

if TYPE_CHECKING:
    import onnx
    import openvino as ov
    from torch.onnx import ONNXProgram

INPUTS = ["frames", "flows"]

_OPSET = 20
"""Version of the ONNX operators."""

_LARGEST = 4096  # pixels a side


class Graph(NamedTuple):
    """A network as converters take it.

    Attributes:
        module: takes two tensors, as in `examples`.
        examples: both inputs, not one tensor twice: exporting would take them for one input. Their dimensions
            all differ and none is a special case.
        height: the dimension of the height; that of the width comes next.
        output: what the module returns.
        stride: height and width are multiples of it.
    """

    module: nn.Module
    examples: tuple[Tensor, Tensor]
    height: int
    output: str
    stride: int


def graph_of(network: Isomer, *, processing: bool = True) -> Graph:
    """Return what is to be converted.

    Args:
        network: to convert.
        processing: with the pre- and post-processing: uint8 [B, H, W, 3] in, probabilities [B, H, W] out.
            Otherwise float32 [B, 3, H, W], normalised, in, and logits [B, 1, H, W] out.
    """
    height, width = 2 * network.stride, 3 * network.stride
    if processing:
        images = torch.zeros(2, 2, height, width, 3, dtype=torch.uint8)
        return Graph(Uint8Network(network).eval(), (images[0], images[1]), 1, "probabilities", network.stride)
    images = torch.zeros(2, 2, 3, height, width)
    return Graph(network.eval(), (images[0], images[1]), 2, "logits", network.stride)


def to_openvino(graph: Graph) -> ov.Model:
    """Convert to OpenVINO, by tracing: an order of magnitude quicker than from an exported program."""
    from isomer.openvino_core import ov

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the padding to whole strides is traced as none, as it should be
        traced = torch.jit.trace(graph.module, graph.examples, check_trace=False)  # type: ignore[no-untyped-call]
    shape = ov.PartialShape(list(graph.examples[0].shape))
    for dimension in (0, graph.height, graph.height + 1):
        shape[dimension] = -1
    model = ov.convert_model(traced, input=[shape, shape])
    for port, name in zip([*model.inputs, *model.outputs], [*INPUTS, graph.output], strict=True):
        port.get_tensor().set_names({name})
    model.set_rt_info(str(graph.stride), ["isomer", "stride"])
    return model


def to_exported_program(graph: Graph, *, any_batch: bool) -> ExportedProgram:
    """Capture as a program of `torch.export`, for any batch or for one image.

    A program for any batch guards against a batch of one, whose strides allow another memory layout. ONNX drops
    such guards; who runs the program itself takes the one for one image.
    """
    sides = [graph.stride * Dim(name, min=2, max=_LARGEST // graph.stride) for name in ("rows", "columns")]
    dimensions = {graph.height: sides[0], graph.height + 1: sides[1]}
    frames, flows = graph.examples
    if any_batch:
        dimensions[0] = Dim("batch")
    else:
        frames, flows = frames[:1].clone(), flows[:1].clone()
    with torch.no_grad():
        return torch.export.export(graph.module, (frames, flows), dynamic_shapes=(dimensions, dimensions))


def to_onnx(graph: Graph) -> ONNXProgram:
    """Convert to ONNX, through `to_exported_program`."""
    with quiet():
        program = as_onnx(to_exported_program(graph, any_batch=True), INPUTS, graph.output)
    program.model.metadata_props["stride"] = str(graph.stride)
    return program


def as_onnx(program: ExportedProgram, inputs: Sequence[str], output: str) -> ONNXProgram:
    """Convert a program to ONNX, its inputs and its output named."""
    converted = torch.onnx.export(
        program, input_names=inputs, output_names=[output], opset_version=_OPSET, verbose=False
    )
    assert converted is not None
    return converted


def write_onnx(model: onnx.ModelProto, path: str | Path) -> None:
    """Write a model, the same one in the same bytes.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


def stored_in_half(model: onnx.ModelProto) -> None:
    """Store kernels and matrices as float16, half the size; runtimes turn them into float32 when they read the file.

    A node is named after the module that it comes from, and what else the exporter says about it goes.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    for node in graph.node:
        for entry in node.metadata_props:
            if entry.key == "pkg.torch.onnx.name_scopes":
                node.name = f"{ast.literal_eval(entry.value)[-2]}/{node.name}"
    without_origins(graph)
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim > 1:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], name, to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def without_origins(graph: onnx.GraphProto) -> None:
    """Drop what the exporter says about where values come from, and the shapes that it saw on the way."""
    for part in (graph, *graph.input, *graph.output, *graph.initializer, *graph.node):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                without_origins(attribute.g)
    del graph.value_info[:]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what the exporter says about packages it could use and constants it does not fold."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

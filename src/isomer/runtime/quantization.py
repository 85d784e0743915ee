"""Networks in 8-bit integers for OpenVINO: post-training quantisation by NNCF, calibrated on samples of videos."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError, require
from isomer.model.network import Isomer
from isomer.runtime import Backend, create_backend
from isomer.runtime.conversion import INPUTS, graph_of, to_openvino
from isomer.runtime.export import check_file, put_in_place

if TYPE_CHECKING:
    import openvino as ov

Sample = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""A frame and its flow image as the network sees them, both [1, H, W, 3]."""

_HELD_BACK = 4  # every fourth is


# What stays in float32, by the names of nodes. Of the feed-forward blocks' depthwise convolutions NNCF takes pixels for
# channels, which would tie the file to one size. The deeper blocks of MobileNetV2 amplify what quantisation changes:
# with them in integers its maps are off by a third and more. With EfficientNet's first layers in integers edges move.
_FLOAT = [r".*dwconv.*"]
_FIRST_LAYERS = [r".*backbone_[xy]\.(stem|blocks\.0)[./].*"]
_FLOAT_OF_ENCODER = {
    "mobilenet_v2": [r".*backbone_[xy]\.blocks\.([7-9]|1\d)[./].*"],
    "efficientnet_lite0": _FIRST_LAYERS,
    "efficientnet_lite2": _FIRST_LAYERS,
}


class Agreement(NamedTuple):
    """How close a quantised network is to PyTorch's float32, on frames that it was not calibrated on.

    Attributes:
        frames: their number.
        difference: mean absolute difference of the probabilities.
        region_similarity: J of the two masks, the mean of the frames; 1 where both are empty.
    """

    frames: int
    difference: float
    region_similarity: float


def export_int8(network: Isomer, path: str | Path, samples: Iterable[Sample]) -> Agreement:
    """Write a network as an OpenVINO file that mostly computes in 8-bit integers, for any batch and size.

    The samples tell the ranges of its activations. Every fourth is held back, and how close the file comes to float32
    is measured on these.

    Args:
        network: to quantise.
        path: the file, `.xml`; its weights go beside it, in `.bin`.
        samples: a hundred or so, like what it will see; the first is asked for once the path is known to be good.

    Raises:
        InputError: the path has another suffix or cannot be written, a package is missing, or samples are too few.
    """
    path = Path(path)
    check_file(path, "openvino")
    require("a network in 8-bit integers", "int8", "nncf")
    from isomer.openvino_core import ov

    samples = list(samples)
    if len(samples) < _HELD_BACK:
        raise InputError(f"{len(samples)} frames are too few to calibrate on; give a few hundred")
    held_back = samples[_HELD_BACK - 1 :: _HELD_BACK]
    del samples[_HELD_BACK - 1 :: _HELD_BACK]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        in_float = [*_FLOAT, *_FLOAT_OF_ENCODER.get(network.config.encoder, [])]
        ov.save_model(_quantized(to_openvino(graph_of(network)), samples, in_float), made, compress_to_fp16=False)
        agreement = _agreement(create_backend(network, "torch", "cpu"), create_backend(made, "openvino"), held_back)
        put_in_place(made, path)
    return agreement


def _quantized(model: ov.Model, samples: Sequence[Sample], in_float: list[str]) -> ov.Model:
    os.environ.setdefault("NNCF_CI", "1")  # otherwise it reports its use to its makers
    import nncf

    nncf.set_log_level(logging.ERROR)
    with redirect_stdout(sys.stderr):  # its progress
        return nncf.quantize(
            model,
            nncf.Dataset(samples, lambda sample: dict(zip(INPUTS, sample, strict=True))),
            subset_size=len(samples),
            preset=nncf.QuantizationPreset.MIXED,
            # Weights of seven bits: processors without VNNI add pairs of products in 16, which else overflow.
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
            ignored_scope=nncf.IgnoredScope(patterns=in_float, validate=False),
        )


def _agreement(reference: Backend, quantized: Backend, samples: Sequence[Sample]) -> Agreement:
    differences, similarities = [], []
    for sample in samples:
        expected, found = reference(*sample), quantized(*sample)
        differences.append(np.abs(expected - found).mean())
        one, other = expected >= 0.5, found >= 0.5
        union = np.count_nonzero(one | other)
        similarities.append(np.count_nonzero(one & other) / union if union else 1.0)
    return Agreement(len(samples), float(np.mean(differences)), float(np.mean(similarities)))

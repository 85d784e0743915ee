"""Export a model to ONNX, OpenVINO IR, a torch.export program, or as the package ships it.

The file takes frames and their flow images, `frames` and `flows`, uint8 [B, H, W, 3] in RGB, and gives
`probabilities`, float32 [B, H, W]; B is free, H and W are multiples of 32. It is checked against PyTorch.
The verbs that take --model run ONNX and OpenVINO files too, without PyTorch. `package` writes two files, stored as
float16: OUT, an ONNX file, and beside it the checkpoint that has the same weights.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_max_pixels, max_pixels_of, report

# Of `isomer.runtime.export.FORMATS`, whose import takes PyTorch, and of the package.
_SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2", "package": ".onnx"}

NEEDS = ("export", "torch", "safetensors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("model", metavar="MODEL", help="a model's name or a checkpoint file")
    parser.add_argument(
        "-o", dest="out", type=Path, metavar="OUT", help="file to write (default: MODEL with the suffix)"
    )
    parser.add_argument("--format", choices=_SUFFIXES, default="onnx", help="(default: %(default)s)")
    parser.add_argument(
        "--raw",
        action="store_true",
        help="no pre- and post-processing: normalised float32 [B, 3, H, W] in, logits [B, 1, H, W] out",
    )
    parser.add_argument(
        "--int8",
        nargs="+",
        type=Path,
        metavar="VIDEO",
        help="with --format openvino: compute in 8-bit integers, calibrated on videos like those to come, a few "
        "hundred frames in all (needs the extra int8)",
    )
    add_max_pixels(parser)


def run(arguments: argparse.Namespace) -> int:
    """Export and say how close the file is to PyTorch."""
    from isomer.errors import InputError
    from isomer.model.weights import find_checkpoint
    from isomer.model.zoo import create_model
    from isomer.runtime.export import export_network, export_package

    if arguments.raw and arguments.format == "package":
        raise InputError("--raw: not with --format package, whose files take images")
    if arguments.int8 and (arguments.format != "openvino" or arguments.raw):
        raise InputError("--int8: only with --format openvino, and not with --raw")
    out = arguments.out or Path(Path(arguments.model).name).with_suffix(_SUFFIXES[arguments.format])
    if arguments.format == "package":
        difference = export_package(find_checkpoint(arguments.model) or Path(arguments.model), out)
        both = f"{out} and {out.with_suffix('.safetensors')}"
        report(arguments, f"wrote {both}: probabilities differ by at most {difference:.1g}")
        return 0
    network = create_model(arguments.model)
    if arguments.int8:
        from isomer.runtime.quantization import export_int8
        from isomer.segment.calibration import calibration_samples

        samples = calibration_samples(network, arguments.int8, max_pixels_of(arguments))
        frames, mean, similarity = export_int8(network, out, samples)
        report(
            arguments,
            f"wrote {out}: over {frames} frames held back, probabilities differ from PyTorch's by {mean:.2g} in "
            f"the mean, and masks agree with J = {similarity:.3f}",
        )
        return 0
    difference = export_network(network, out, arguments.format, processing=not arguments.raw)
    report(arguments, f"wrote {out}: probabilities differ from PyTorch's by at most {difference:.1g}")
    return 0

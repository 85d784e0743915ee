"""Judge predicted masks (zvos) or saliency maps (vsod) against annotations, under a named protocol."""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_max_pixels, max_pixels_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `isomer evaluate`."""
    parser.add_argument(
        "task",
        choices=("zvos", "vsod"),
        help="zvos: masks (J, F, T); vsod: saliency (MAE, S, F, E, weighted F)",
    )
    parser.add_argument(
        "predictions",
        nargs="+",
        type=Path,
        metavar="PREDICTIONS",
        help="folder of a method's 8-bit gray maps, <sequence>/<frame>.png; several methods at once",
    )
    parser.add_argument(
        "ground_truth", type=Path, metavar="GROUND_TRUTH", help="folder of annotations (DAVIS, FBMS, flat)"
    )
    parser.add_argument(
        "--protocol",
        help="davis, all-frames, isomer or vsod: which frames count and what is averaged "
        "(default: davis for zvos, vsod for vsod)",
    )
    parser.add_argument(
        "--measures",
        nargs="+",
        metavar="MEASURE",
        help="any of J F T MAE S Fbeta wFbeta E, or all (default: J F for zvos, MAE S Fbeta E for vsod)",
    )
    parser.add_argument(
        "--sequences",
        nargs="+",
        default=[],
        metavar="NAME",
        help="judge only these: names, a file with one a line, or davis16-val (default: all annotated)",
    )
    parser.add_argument(
        "--missing",
        choices=("error", "zero", "skip"),
        default="error",
        help="frames without prediction: stop, score an all-black one, or leave out (default: error)",
    )
    parser.add_argument(
        "--save",
        nargs="+",
        default=[],
        type=Path,
        metavar="FILE",
        help="also write the figures as .csv, .json (with per-frame values) or .tex",
    )
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="also write plots (needs the extra plots)")
    parser.add_argument("--summary", action="store_true", help="print the means only, not every sequence")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one a CPU)")
    add_max_pixels(parser)


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the tables, write the files."""
    import os

    from isomer.evaluate import MEASURES, evaluate_vsod, evaluate_zvos
    from isomer.evaluate.plots import check_matplotlib, save_plots
    from isomer.evaluate.tables import check_formats, format_table, save

    check_formats(arguments.save)
    if arguments.plots:
        check_matplotlib()
    others = {}
    if arguments.protocol:
        others["protocol"] = arguments.protocol
    if arguments.measures:
        others["measures"] = list(MEASURES) if arguments.measures == ["all"] else arguments.measures
    evaluate = evaluate_zvos if arguments.task == "zvos" else evaluate_vsod
    evaluation = evaluate(
        arguments.predictions,
        arguments.ground_truth,
        sequences=arguments.sequences,
        missing=arguments.missing,
        workers=(os.cpu_count() or 1) if arguments.workers is None else arguments.workers,
        max_pixels=max_pixels_of(arguments),
        **others,
    )
    print(format_table(evaluation, sequences=not arguments.summary))
    save(evaluation, *arguments.save)
    if arguments.plots:
        save_plots(evaluation, arguments.plots)
    return 0

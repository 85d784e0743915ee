"""How long `isomer.evaluate` takes, against decoding alone, PySODMetrics and the official formulas.

Everything runs in turn in one process on one thread, several rounds, decoding included everywhere; CPU
seconds a frame, the best of the rounds. The slow ones run on every n-th frame.

    python benchmarks/evaluate.py PREDICTIONS GROUND_TRUTH
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import naive_metrics

from isomer.evaluate import MEASURES, evaluate_zvos
from isomer.evaluate.layout import find_sequences

SIX = ("J", "F", "MAE", "Fbeta", "E", "S")
EVERYTHING = tuple(name for name in MEASURES if name != "T")

Files = list[tuple[str, str]]


def main() -> None:
    """Run the contenders and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("predictions", type=Path)
    parser.add_argument("ground_truth", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--every", type=int, default=12, help="the slow contenders take every n-th frame")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    predicted, annotated = find_sequences(arguments.predictions), find_sequences(arguments.ground_truth)
    files = [
        (str(predicted[name][frame]), str(annotated[name][frame])) for name in annotated for frame in annotated[name]
    ]
    some = files[:: arguments.every]

    def ours(measures: tuple[str, ...]) -> Callable[[], object]:
        folders = arguments.predictions, arguments.ground_truth
        return lambda: evaluate_zvos(*folders, "all-frames", measures=measures)

    contenders: dict[str, tuple[int, Callable[[], object]]] = {
        "OpenCV, decoding only": (len(files), lambda: [_read(pair) for pair in files]),
        "isomer J F": (len(files), ours(("J", "F"))),
        "isomer J F MAE Fbeta E S": (len(files), ours(SIX)),
        "isomer MAE Fbeta E S wFbeta": (len(files), ours(("MAE", "Fbeta", "E", "S", "wFbeta"))),
        "isomer everything but T": (len(files), ours(EVERYTHING)),
        "PySODMetrics MAE F E S weighted F": (len(some), lambda: _pysodmetrics(some)),
        "official formula, J F": (len(some), lambda: [_official(pair) for pair in some]),
    }
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(arguments.rounds):
        for name, (count, contender) in contenders.items():
            start = time.process_time()
            contender()
            best[name] = min(best[name], (time.process_time() - start) / count)
    decoding = best["OpenCV, decoding only"]
    print(f"{len(files)} frames, {arguments.rounds} rounds")
    print(f"{'':36}{'ms a frame':>12}{'x decoding':>12}")
    for name, seconds in best.items():
        print(f"{name:36}{seconds * 1e3:12.2f}{seconds / decoding:12.2f}")
    sod = best["PySODMetrics MAE F E S weighted F"] / best["isomer MAE Fbeta E S wFbeta"]
    official = best["official formula, J F"] / best["isomer J F"]
    print(f"faster than PySODMetrics: {sod:.1f}x; than the official formula: {official:.1f}x")


def _read(pair: tuple[str, str]) -> tuple[cv2.typing.MatLike, cv2.typing.MatLike]:
    return cv2.imread(pair[0], cv2.IMREAD_UNCHANGED), cv2.imread(pair[1], cv2.IMREAD_UNCHANGED)


def _official(pair: tuple[str, str]) -> None:
    images = _read(pair)
    naive_metrics.region_similarity(*images)
    naive_metrics.boundary_accuracy(*images)


def _pysodmetrics(files: Files) -> None:
    import py_sod_metrics as sod

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measures = [sod.MAE(), sod.Fmeasure(), sod.Emeasure(), sod.Smeasure(), sod.WeightedFmeasure()]
    for pair in files:
        prediction, annotation = _read(pair)
        for measure in measures:
            measure.step(prediction, annotation)


if __name__ == "__main__":
    main()

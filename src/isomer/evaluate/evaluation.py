"""Pairs of folders in, figures out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import ArgumentError, InputError
from isomer.evaluate.layout import Sequences, find_sequences
from isomer.evaluate.maps import Annotations, Predictions
from isomer.evaluate.protocols import Protocol, get_protocol
from isomer.evaluate.results import Curves, Evaluation, MethodResult, SequenceResult, summarize_method
from isomer.media.image import MAX_PIXELS
from isomer.metrics import (
    MAE,
    BoundaryAccuracy,
    EMeasure,
    FMeasure,
    FramePair,
    Measure,
    RegionSimilarity,
    SMeasure,
    TemporalStability,
    WeightedFMeasure,
    published_scale,
    statistics,
    stretched_scale,
)
from isomer.processes import process_pool
from isomer.selection import select_sequences

Missing = Literal["error", "zero", "skip"]

MEASURES: dict[str, Callable[[Protocol], Measure[Any]]] = {
    "J": lambda protocol: RegionSimilarity(),
    "F": lambda protocol: BoundaryAccuracy(),
    "T": lambda protocol: TemporalStability(),
    "MAE": lambda protocol: MAE(),
    "S": lambda protocol: SMeasure(protocol.inclusive_centroid),
    "Fbeta": lambda protocol: FMeasure(),
    "wFbeta": lambda protocol: WeightedFMeasure(),
    "E": lambda protocol: EMeasure(),
}
"""The measures by name, in the order of the tables."""

ZVOS_MEASURES = ("J", "F")
VSOD_MEASURES = ("MAE", "S", "Fbeta", "E")

_THRESHOLDED = frozenset({"J", "F", "T"})  # measures of masks, not of levels
_NAMED = 5  # so many frames are named in a message


def evaluate_zvos(
    predictions: str | Path | Sequence[str | Path],
    ground_truth: str | Path,
    protocol: str | Protocol = "davis",
    *,
    measures: Sequence[str] = ZVOS_MEASURES,
    sequences: Sequence[str] = (),
    missing: Missing = "error",
    workers: int = 1,
    max_pixels: int = MAX_PIXELS,
) -> Evaluation:
    """Judge the masks of one or several methods.

    Args:
        predictions: a folder a method, with 8-bit gray maps; foreground is above 128.
        ground_truth: folder of the annotations, in any layout of `find_sequences`.
        protocol: `davis`, `all-frames`, `isomer` or `vsod`, or one of your own.
        measures: names out of `MEASURES`.
        sequences: keep only these; see `select_sequences`. All by default.
        missing: what to do where a counting frame has no prediction: raise an error, take an all-black one
            (`zero`), or leave the frame out (`skip`); the last two are counted in the result's notes.
        workers: number of processes. With more than one, a script needs an `if __name__ == "__main__"` guard.
        max_pixels: the most that an image may have.

    Returns:
        Tables, curves and notes.

    Raises:
        InputError: folders, files or names are not what is asked for, or a process was killed; see the message.
    """
    return _evaluate(predictions, ground_truth, protocol, measures, sequences, missing, workers, max_pixels)


def evaluate_vsod(
    predictions: str | Path | Sequence[str | Path],
    ground_truth: str | Path,
    protocol: str | Protocol = "vsod",
    *,
    measures: Sequence[str] = VSOD_MEASURES,
    sequences: Sequence[str] = (),
    missing: Missing = "error",
    workers: int = 1,
    max_pixels: int = MAX_PIXELS,
) -> Evaluation:
    """Judge the saliency maps of one or several methods; as `evaluate_zvos`, with other defaults."""
    return _evaluate(predictions, ground_truth, protocol, measures, sequences, missing, workers, max_pixels)


class _Frame(NamedTuple):
    name: str
    prediction: Path | None
    annotation: Path
    in_trend: bool


@dataclass(frozen=True)
class _Job:
    """One method on one sequence."""

    method: str
    sequence: str
    frames: tuple[_Frame, ...]
    measures: tuple[str, ...]
    protocol: Protocol
    max_pixels: int


def _evaluate(
    predictions: str | Path | Sequence[str | Path],
    ground_truth: str | Path,
    protocol: str | Protocol,
    measures: Sequence[str],
    sequences: Sequence[str],
    missing: Missing,
    workers: int,
    max_pixels: int,
) -> Evaluation:
    protocol = get_protocol(protocol)
    if unknown := [name for name in measures if name not in MEASURES]:
        raise InputError(f"{', '.join(unknown)}: no such measure; choose from {', '.join(MEASURES)}")
    chosen = tuple(name for name in MEASURES if name in measures)
    if not chosen:
        raise InputError(f"measures: none given; choose from {', '.join(MEASURES)}")
    if missing not in ("error", "zero", "skip"):
        raise InputError(f"{missing}: no way to treat missing frames; choose error, zero or skip")
    if workers < 1:
        raise ArgumentError("workers", workers, "less than 1")
    annotated = select_sequences(ground_truth, find_sequences(ground_truth), sequences)
    notes: dict[str, None] = {}
    jobs = []
    for method, folder in _methods(predictions).items():
        predicted = find_sequences(folder)
        notes.update(dict.fromkeys(_unannotated(method, predicted, annotated, bool(sequences))))
        method_jobs = _pair(method, predicted, annotated, protocol, chosen, missing, notes, max_pixels)
        if not method_jobs:
            raise InputError(f"{folder}: no frame of the ground truth is predicted; check both folders")
        jobs += method_jobs
    results = _run(jobs, workers)
    by_method: dict[str, dict[str, SequenceResult]] = {}
    for job, (result, job_notes) in zip(jobs, results, strict=True):
        by_method.setdefault(job.method, {})[job.sequence] = result
        notes.update(dict.fromkeys(job_notes))
    methods: dict[str, MethodResult] = {
        method: summarize_method(by_sequence, protocol) for method, by_sequence in by_method.items()
    }
    return Evaluation(protocol, chosen, methods, tuple(notes))


def _methods(predictions: str | Path | Sequence[str | Path]) -> dict[str, Path]:
    """Folders by method: the folder's name, or the whole path where several have the same."""
    folders = [predictions] if isinstance(predictions, (str, Path)) else list(predictions)
    paths = list(dict.fromkeys(Path(folder) for folder in folders))
    if not paths:
        raise InputError("predictions: none given; give one folder a method")
    names = [path.resolve().name for path in paths]
    return {name if names.count(name) == 1 else str(path): path for name, path in zip(names, paths, strict=True)}


def _unannotated(method: str, predicted: Sequences, annotated: Sequences, selected: bool) -> Iterable[str]:
    """Say what of the predictions is not judged, other than what the caller did not select."""
    extra = [name for name in predicted if name not in annotated]
    if extra and not selected:
        yield f"{method}: {_count(len(extra), 'sequence')} without annotation not judged: {_named(extra)}"
    frames = sum(len(predicted[name].keys() - annotated[name].keys()) for name in predicted if name in annotated)
    if frames:
        yield f"{method}: {_count(frames, 'predicted frame')} without annotation not judged"


def _pair(
    method: str,
    predicted: Sequences,
    annotated: Sequences,
    protocol: Protocol,
    measures: tuple[str, ...],
    missing: Missing,
    notes: dict[str, None],
    max_pixels: int,
) -> list[_Job]:
    """Pair every frame that counts with its prediction, or treat it as missing."""
    jobs, absent = [], 0
    if len(predicted) == len(annotated) == 1 and not any(frames in annotated for frames in predicted):
        # Two folders of one sequence's images.
        predicted = dict(zip(annotated, predicted.values(), strict=True))
    for sequence, files in annotated.items():
        names = list(files)
        inner = names[1:-1]
        counting = inner if protocol.frames == "inner" else names
        if not counting:
            raise InputError(
                f"{sequence}: {_count(len(names), 'annotated frame')}, of which protocol {protocol.name} "
                "counts none; use the protocol all-frames or leave the sequence out"
            )
        found = predicted.get(sequence, {})
        if gone := [name for name in counting if name not in found]:
            total = _count(len(counting), "frame")
            what = f"{method}/{sequence}: {len(gone)} of {total} missing ({_named(gone)})"
            if missing == "error":
                raise InputError(f"{what}; predict them, or let what is missing be zero or skip it")
            absent += len(gone)
            notes[f"{what}, {'scored as all black' if missing == 'zero' else 'left out'}"] = None
        if missing == "skip":
            counting = [name for name in counting if name in found]
            if not counting:
                continue
        in_trend = set(counting if protocol.trend_frames == protocol.frames else inner)
        frames = tuple(_Frame(name, found.get(name), files[name], name in in_trend) for name in counting)
        jobs.append(_Job(method, sequence, frames, measures, protocol, max_pixels))
    if absent:
        done = "scored as all black" if missing == "zero" else "left out"
        notes[f"{method}: {_count(absent, 'missing frame')} in all {done}"] = None
    return jobs


def _run(jobs: list[_Job], workers: int) -> list[tuple[SequenceResult, list[str]]]:
    workers = min(workers, len(jobs))
    if workers <= 1:
        return [_score(job) for job in jobs]
    longest_first = sorted(range(len(jobs)), key=lambda index: -len(jobs[index].frames))
    with process_pool(workers, "workers") as pool:
        futures = {index: pool.submit(_score, jobs[index]) for index in longest_first}
        return [futures[index].result() for index in range(len(jobs))]


def _score(job: _Job) -> tuple[SequenceResult, list[str]]:
    """Score one method on one sequence, and note what is out of the ordinary."""
    scale = stretched_scale if job.protocol.stretch else published_scale
    measures = {name: MEASURES[name](job.protocol) for name in job.measures}
    predictions = Predictions(job.max_pixels)
    annotations = Annotations([frame.annotation for frame in job.frames], job.max_pixels)
    resized = 0
    for frame in job.frames:
        levels, void = annotations.read(frame.annotation)
        prediction = np.zeros_like(levels) if frame.prediction is None else predictions.read(frame.prediction)
        if prediction.shape != levels.shape:
            if not job.protocol.resize:
                raise InputError(
                    f"{frame.prediction}: {_size(prediction)}, but its annotation {frame.annotation} is "
                    f"{_size(levels)}; resize the prediction or use the protocol isomer"
                )
            resized += 1
            size = levels.shape[1], levels.shape[0]
            prediction = np.asarray(cv2.resize(prediction, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        whole = judged = FramePair(prediction, levels, scale)
        if void is not None:
            judged = FramePair(np.where(void, np.uint8(0), prediction), levels, scale)
        for name, measure in measures.items():
            measure.step_pair(whole if name == "T" else judged)  # T is of the prediction alone
    notes = []
    where = f"{job.method}/{job.sequence}"
    if resized:
        notes.append(f"{where}: {_count(resized, 'prediction')} resized to the annotation")
    thresholded = not job.protocol.stretch or not _THRESHOLDED.isdisjoint(measures)
    for what, number in predictions.notes(thresholded).items():
        notes.append(f"{where}: {_count(number, 'prediction')} {what}")
    for what, number in annotations.notes().items():
        notes.append(f"{job.sequence}: {_count(number, 'annotation')} {what}")
    for name, measure in measures.items():
        # T is between two frames, so the first has none.
        values = measure.values[1:] if name == "T" else measure.values
        if undefined := sum(np.isnan(values)):
            notes.append(f"{where}: {name} not defined for {_count(undefined, 'frame')}, left out of its mean")
    scores, curves = _figures(measures, [frame.in_trend for frame in job.frames])
    return (
        SequenceResult(
            tuple(frame.name for frame in job.frames),
            tuple((frame.prediction, frame.annotation) for frame in job.frames),
            {name: tuple(measure.values) for name, measure in measures.items()},
            scores,
            curves,
        ),
        notes,
    )


def _figures(measures: dict[str, Measure[Any]], in_trend: list[bool]) -> tuple[dict[str, float], Curves]:
    """Scores by column, and curves, of a sequence."""
    scores: dict[str, float] = {}
    curves: Curves = {}
    if "J" in measures and "F" in measures:
        scores["J&F"] = (statistics.mean(measures["J"].values) + statistics.mean(measures["F"].values)) / 2
    for name, measure in measures.items():
        if name in _THRESHOLDED:
            trend = np.asarray(measure.values)[in_trend]
            scores[f"{name}-mean"] = statistics.mean(measure.values)
            scores[f"{name}-recall"] = statistics.recall(trend)
            scores[f"{name}-decay"] = statistics.decay(trend)
            continue
        result = measure.result()
        if name not in ("Fbeta", "E"):
            scores[name] = result
            continue
        curves[name] = result.curve
        if name == "Fbeta":
            curves |= {"precision": result.precision, "recall": result.recall}
        for kind in ("adaptive", "mean", "max"):
            scores[f"{name}-{kind}"] = getattr(result, kind)
    return scores, curves


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")

"""Plots of an evaluation, with matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import require
from isomer.evaluate.maps import Annotation, Annotations, Predictions
from isomer.evaluate.results import Evaluation
from isomer.files import atomic_path

_LOWER_IS_BETTER = ("MAE", "T")
_WORST = 12
_MISSED, _FALSE, _RIGHT = (214, 96, 77), (244, 165, 30), (67, 147, 195)  # RGB
_TILE_WIDTH = 320


def check_matplotlib() -> None:
    """Raise MissingPackageError if matplotlib is not installed; cheap enough to ask before a long evaluation."""
    require("plots", "plots", "matplotlib")


def save_plots(evaluation: Evaluation, folder: str | Path) -> list[Path]:
    """Write the plots that the evaluation has figures for, as PNG.

    `<measure>-bars.png`: every sequence and method; `<measure>-<sequence>.png`: the measure over time, all
    methods; `curves.png`: precision against recall, F and E against the threshold; `worst-<method>.png`: the
    twelve worst frames by the first measure, with what was missed and what was falsely found in colour.

    Returns:
        The files written.

    Raises:
        InputError: matplotlib is not installed, or the folder cannot be written to.
    """
    check_matplotlib()
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    folder = Path(folder)
    first = evaluation.measures[0]
    plots: dict[str, Callable[[], Any]] = {}
    for measure in evaluation.measures:
        plots[f"{measure}-bars.png"] = partial(_bars, plt, evaluation, measure)
    sequences = {name: None for result in evaluation.methods.values() for name in result.sequences}
    for sequence in sequences:
        plots[f"{first}-{sequence}.png"] = partial(_timeline, plt, evaluation, first, sequence)
    if next(iter(evaluation.methods.values())).curves:
        plots["curves.png"] = partial(_curves, plt, evaluation)
    for method in evaluation.methods:
        name = method.replace("/", "_").replace("\\", "_")
        plots[f"worst-{name}.png"] = partial(_worst, plt, evaluation, first, method)
    written = []
    for name, draw in plots.items():
        figure = draw()
        with atomic_path(folder / name) as temporary:
            figure.savefig(temporary, dpi=150)
        plt.close(figure)
        written.append(folder / name)
    return written


def _bars(plt: Any, evaluation: Evaluation, measure: str) -> Any:
    """Mean of the measure in every sequence, a group of bars a sequence, best sequence first."""
    column = _column(evaluation, measure)
    methods = evaluation.methods
    names = list(dict.fromkeys(name for result in methods.values() for name in result.sequences))
    scores = np.array(
        [[r.sequences[n].scores[column] if n in r.sequences else np.nan for n in names] for r in methods.values()]
    )
    level = np.array([np.nanmean(column) if not np.isnan(column).all() else 0.0 for column in scores.T])
    order = np.argsort(level if measure in _LOWER_IS_BETTER else -level, kind="stable")
    figure, axes = plt.subplots(
        figsize=(max(6.0, 0.35 * len(names) * (len(methods) + 1) + 1), 4.5), layout="constrained"
    )
    width = 0.8 / len(methods)
    for index, (method, result) in enumerate(methods.items()):
        label = f"{method} (mean {result.mean[column]:.3f})"
        axes.bar(np.arange(len(names)) + (index + 0.5) * width - 0.4, scores[index][order], width, label=label)
    axes.set_xticks(np.arange(len(names)), [names[i] for i in order], rotation=45, ha="right")
    better = "lower" if measure in _LOWER_IS_BETTER else "higher"
    axes.set_ylabel(f"{column} ({better} is better)")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    return _finished(figure, axes, evaluation)


def _timeline(plt: Any, evaluation: Evaluation, measure: str, sequence: str) -> Any:
    """The measure in every frame of one sequence."""
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    names: tuple[str, ...] = ()
    for result in evaluation.methods.values():
        if sequence in result.sequences:
            names = max(names, result.sequences[sequence].frames, key=len)
    place = {name: index for index, name in enumerate(names)}
    for method, result in evaluation.methods.items():
        if sequence in result.sequences:
            one = result.sequences[sequence]
            column = _column(evaluation, measure)
            label = f"{method} ({column} {one.scores[column]:.3f})"
            places = [place.get(name, np.nan) for name in one.frames]
            axes.plot(places, one.values[measure], marker=".", markersize=4, linewidth=1.2, label=label)
    shown = np.unique(np.linspace(0, len(names) - 1, 10).round().astype(int))
    axes.set_xticks(shown, [names[i] for i in shown])
    axes.set_xlabel(f"frame of {sequence}")
    axes.set_ylabel(measure)
    axes.set_ylim(0, None if measure in _LOWER_IS_BETTER else 1.02)
    axes.grid(alpha=0.3)
    return _finished(figure, axes, evaluation)


def _curves(plt: Any, evaluation: Evaluation) -> Any:
    """Precision against recall, and F and E against the threshold."""
    curves = next(iter(evaluation.methods.values())).curves
    panels = ["precision"] * ("precision" in curves) + [name for name in ("Fbeta", "E") if name in curves]
    figure, all_axes = plt.subplots(
        1, len(panels), figsize=(4.5 * len(panels), 4.5), layout="constrained", squeeze=False
    )
    thresholds = np.arange(255, -1, -1)
    for panel, axes in zip(panels, all_axes[0], strict=True):
        for method, result in evaluation.methods.items():
            if panel == "precision":
                axes.plot(result.curves["recall"], result.curves["precision"], label=method)
            else:
                axes.plot(thresholds, result.curves[panel], label=f"{method} (max {result.curves[panel].max():.3f})")
        axes.set_xlabel("recall" if panel == "precision" else "threshold (level)")
        axes.set_ylabel(panel)
        axes.set_ylim(0, 1.02)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="lower left" if panel == "precision" else "lower center")
    figure.suptitle(_caption(evaluation), fontsize=9)
    return figure


def _worst(plt: Any, evaluation: Evaluation, measure: str, method: str) -> Any:
    """Contact sheet of a method's worst frames."""
    ranked = sorted(
        (value if measure in _LOWER_IS_BETTER else -value, sequence, index)
        for sequence, one in evaluation.methods[method].sequences.items()
        for index, value in enumerate(one.values[measure])
        if not np.isnan(value)
    )[::-1][:_WORST]
    columns = 4
    rows = max(1, -(-len(ranked) // columns))
    figure, all_axes = plt.subplots(
        rows, columns, figsize=(3.2 * columns, 2.15 * rows + 0.6), layout="constrained", squeeze=False
    )
    for axes in all_axes.flat:
        axes.axis("off")
    for axes, (_, sequence, index) in zip(all_axes.flat, ranked, strict=False):
        one = evaluation.methods[method].sequences[sequence]
        annotations = Annotations([annotation for _, annotation in one.files])
        axes.imshow(_errors(one.files[index][0], annotations.read(one.files[index][1])))
        axes.set_title(f"{sequence} {one.frames[index]}   {measure} {one.values[measure][index]:.3f}", fontsize=9)
    figure.suptitle(
        f"{method}: worst frames by {measure}; blue found, red missed, orange falsely found. {_caption(evaluation)}",
        fontsize=10,
    )
    return figure


def _errors(prediction_file: Path | None, annotation: Annotation) -> NDArray[np.uint8]:
    """Prediction against annotation in colour: uint8 RGB, at most 320 px wide."""
    annotated = annotation.levels > 0
    predicted = np.zeros_like(annotated)
    if prediction_file is not None:
        prediction = Predictions().read(prediction_file)
        height, width = annotated.shape
        predicted = cv2.resize(prediction, (width, height), interpolation=cv2.INTER_LINEAR) > 128
    if annotation.void is not None:
        predicted &= ~annotation.void
    image = np.full((*annotated.shape, 3), 32, np.uint8)
    image[predicted & annotated] = _RIGHT
    image[~predicted & annotated] = _MISSED
    image[predicted & ~annotated] = _FALSE
    scale = min(1.0, _TILE_WIDTH / image.shape[1])
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _column(evaluation: Evaluation, measure: str) -> str:
    """The column that stands for a measure in a plot."""
    candidates = (measure, f"{measure}-max", f"{measure}-mean")
    return next(column for column in candidates if column in evaluation.columns)


def _finished(figure: Any, axes: Any, evaluation: Evaluation) -> Any:
    axes.set_title(_caption(evaluation), fontsize=9)
    figure.legend(fontsize=8, loc="outside lower center", ncols=4)
    return figure


def _caption(evaluation: Evaluation) -> str:
    return f"protocol {evaluation.protocol.name}"

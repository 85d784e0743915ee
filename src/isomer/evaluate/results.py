"""What an evaluation found: values of frames, scores of sequences, means over sequences, averaged curves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isomer.evaluate.protocols import Protocol
from isomer.metrics import statistics

Curves = dict[str, NDArray[np.float64]]
"""float64 [256], highest threshold first, by name: Fbeta, precision, recall, E (of the chosen measures)."""


@dataclass(frozen=True)
class SequenceResult:
    """One method on one sequence.

    Attributes:
        frames: names of the frames that count.
        files: the prediction and the annotation of each of them; no prediction where it was missing.
        values: per-frame values by measure (for Fbeta and E at the adaptive threshold; nan where not
            defined).
        scores: figures of the sequence by column, such as `J-mean`.
        curves: means over the frames.
    """

    frames: tuple[str, ...]
    files: tuple[tuple[Path | None, Path], ...]
    values: dict[str, tuple[float, ...]]
    scores: dict[str, float]
    curves: Curves


@dataclass(frozen=True)
class MethodResult:
    """One method on all sequences.

    Attributes:
        sequences: results by sequence.
        mean: figures of the dataset by column.
        curves: means over the sequences.
    """

    sequences: dict[str, SequenceResult]
    mean: dict[str, float]
    curves: Curves


@dataclass(frozen=True)
class Evaluation:
    """Methods against one ground truth under one protocol.

    Attributes:
        protocol: the protocol that all figures follow.
        measures: names of the measures.
        methods: results by method.
        notes: one line for everything out of the ordinary: frames filled in or left out, resized predictions,
            annotations with unexpected levels, measures that are not defined.
    """

    protocol: Protocol
    measures: tuple[str, ...]
    methods: dict[str, MethodResult]
    notes: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the figures, in the order of the tables."""
        return tuple(next(iter(self.methods.values())).mean)


def summarize_method(sequences: dict[str, SequenceResult], protocol: Protocol) -> MethodResult:
    """Average sequences: figures directly, curves first of all and then their mean and maximum."""
    results = list(sequences.values())
    curves = {name: np.mean([result.curves[name] for result in results], axis=0) for name in results[0].curves}
    mean = {}
    for column in results[0].scores:
        measure, _, kind = column.partition("-")
        if measure in curves and kind in ("mean", "max"):
            mean[column] = float(getattr(curves[measure], kind)())
        else:
            mean[column] = statistics.mean(list(_counting(column, sequences, protocol)))
    return MethodResult(sequences, mean, curves)


def _counting(column: str, sequences: dict[str, SequenceResult], protocol: Protocol) -> Iterable[float]:
    for name, result in sequences.items():
        if column.startswith("T-") and protocol.stability_sequences and name not in protocol.stability_sequences:
            continue
        yield result.scores[column]

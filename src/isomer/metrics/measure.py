"""What all measures have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from isomer.metrics import statistics
from isomer.metrics.pair import FramePair
from isomer.metrics.statistics import SequenceScore

Result = TypeVar("Result", covariant=True)


class Measure(ABC, Generic[Result]):
    """A measure of one sequence, fed frame by frame.

    Attributes:
        values: one number a frame so far (nan where the measure is not defined for the frame).
    """

    def __init__(self) -> None:
        self.values: list[float] = []

    def step(self, prediction: NDArray[np.uint8], ground_truth: NDArray[Any]) -> None:
        """Add a frame.

        Args:
            prediction: uint8 [H, W] gray map, 0..255.
            ground_truth: uint8 [H, W], or bool [H, W], annotation.

        Raises:
            InputError: the arrays differ in size or are of another type.
        """
        self.step_pair(FramePair(prediction, ground_truth))

    def step_pair(self, pair: FramePair) -> None:
        """Add a frame that other measures see too."""
        self.values.append(self.measure(pair))

    @abstractmethod
    def measure(self, pair: FramePair) -> float:
        """Take in a frame and give its number, nan where the measure is not defined."""

    @abstractmethod
    def result(self) -> Result:
        """The figure of the frames so far."""


class MeanMeasure(Measure[float]):
    """A measure whose sequence figure is the mean of its frames, those not defined left out."""

    def result(self) -> float:
        """Mean over the frames so far; nan if it is defined for none."""
        return statistics.mean(self.values)


class SequenceMeasure(Measure[SequenceScore]):
    """A measure whose sequence figure is mean, recall and decay."""

    def result(self) -> SequenceScore:
        """Mean, recall and decay of the frames so far."""
        return statistics.summarize(self.values)

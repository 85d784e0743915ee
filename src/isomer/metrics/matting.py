"""Measures of mattes, on the region where they are hard: one class a measure, as of segmentation.

SAD, MSE, gradient and connectivity error are those of Rhemann et al., "A perceptually motivated online benchmark for
image matting", CVPR 2009; dtSSD is that of Erofeev et al., "Perceptually motivated benchmark for video matting", BMVC
2015. Less is better in all of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.metrics import statistics

Matte = NDArray[np.float32]
Region = NDArray[np.bool_]

_SIGMA = 1.4  # px, of the Gaussian whose derivative is the gradient
_LEVELS = np.arange(0.1, 1.05, 0.1)  # at which connectivity looks
_SLACK = 0.15  # of opacity, by which a pixel that is less connected is no error


class MattingMeasure(ABC):
    """A measure of the mattes of one sequence, fed frame by frame.

    Attributes:
        values: one number a frame so far (nan where the measure is not defined for the frame).
    """

    def __init__(self) -> None:
        self.values: list[float] = []

    def step(self, alpha: Matte, truth: Matte, region: Region) -> None:
        """Add a frame.

        Args:
            alpha: opacity that was found, float32 [H, W] in [0, 1].
            truth: what it is.
            region: the pixels that count, bool [H, W].

        Raises:
            InputError: the arrays differ in size or are of another type.
        """
        for name, array, dtype in (
            ("alpha", alpha, "float32"),
            ("truth", truth, "float32"),
            ("region", region, "bool"),
        ):
            if array.dtype != dtype or array.ndim != 2 or array.shape != alpha.shape:
                raise InputError(f"{name}: {array.dtype} {list(array.shape)}; give {dtype} {list(alpha.shape[:2])}")
        self.values.append(self.measure(alpha, truth, region))

    @abstractmethod
    def measure(self, alpha: Matte, truth: Matte, region: Region) -> float:
        """Take in a frame and give its number."""

    def result(self) -> float:
        """Mean over the frames so far, those not defined left out; nan if there are none."""
        return statistics.mean(self.values)


class SAD(MattingMeasure):
    """Sum of absolute differences, in thousands."""

    def measure(self, alpha: Matte, truth: Matte, region: Region) -> float:
        """SAD of one frame."""
        return float(np.abs(alpha - truth)[region].sum(dtype=np.float64)) / 1000


class MSE(MattingMeasure):
    """Mean squared difference; nan for an empty region."""

    def measure(self, alpha: Matte, truth: Matte, region: Region) -> float:
        """MSE of one frame."""
        return float(np.square(alpha - truth)[region].mean(dtype=np.float64)) if region.any() else float("nan")


class GradientError(MattingMeasure):
    """Sum of squared differences of the gradients' magnitudes, in thousands."""

    def measure(self, alpha: Matte, truth: Matte, region: Region) -> float:
        """Gradient error of one frame."""
        return float(np.square(_gradient(alpha) - _gradient(truth))[region].sum()) / 1000


class ConnectivityError(MattingMeasure):
    """Sum of absolute differences of how well pixels are connected with what is opaque in both, in thousands.

    A pixel is connected up to the highest of ten levels at which it belongs to the largest region, over edges, that is
    at least so opaque in both mattes.
    """

    def measure(self, alpha: Matte, truth: Matte, region: Region) -> float:
        """Connectivity error of one frame."""
        highest = np.zeros(alpha.shape, np.float64)
        connected = np.ones(alpha.shape, bool)
        for level in _LEVELS:
            both = ((alpha >= level) & (truth >= level)).view(np.uint8)
            _, parts, stats, _ = cv2.connectedComponentsWithStats(both, connectivity=4)
            areas = stats[1:, cv2.CC_STAT_AREA]
            connected &= parts == 1 + areas.argmax() if len(areas) else np.zeros(alpha.shape, bool)
            highest[connected] = level
        connectedness = [1 - np.where(matte - highest >= _SLACK, matte - highest, 0) for matte in (alpha, truth)]
        return float(np.abs(connectedness[0] - connectedness[1])[region].sum()) / 1000


class DtSSD(MattingMeasure):
    """Root of the mean squared difference of how much opacity changes from frame to frame, in hundredths.

    Not defined (nan) for the first frame and for an empty region.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before: tuple[Matte, Matte] | None = None

    def measure(self, alpha: Matte, truth: Matte, region: Region) -> float:
        """DtSSD between this frame and the one before."""
        before, self._before = self._before, (alpha, truth)
        if before is None or not region.any():
            return float("nan")
        difference = (alpha - before[0]) - (truth - before[1])
        return 100 * float(np.sqrt(np.square(difference[region]).mean(dtype=np.float64)))


def _gradient(matte: Matte) -> NDArray[np.float64]:
    """Return the magnitude of the gradient by the derivatives of a Gaussian, each of unit energy: float64 [H, W]."""
    radius = int(np.ceil(_SIGMA * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * _SIGMA * 1e-2))))
    x = np.arange(-radius, radius + 1)
    smooth = np.exp(-np.square(x) / (2 * _SIGMA**2)) / (_SIGMA * np.sqrt(2 * np.pi))
    slope = -x * smooth / _SIGMA**2
    energy = np.linalg.norm(np.outer(smooth, slope))
    values = matte.astype(np.float64)
    across = cv2.sepFilter2D(values, -1, slope / energy, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(values, -1, smooth, slope / energy, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.hypot(across, down))

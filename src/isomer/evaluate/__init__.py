"""Judging folders of predictions: named protocols, per-sequence tables, files and plots."""

from isomer.evaluate.evaluation import (
    MEASURES,
    VSOD_MEASURES,
    ZVOS_MEASURES,
    evaluate_vsod,
    evaluate_zvos,
)
from isomer.evaluate.protocols import PROTOCOLS, STABILITY_SEQUENCES, Protocol
from isomer.evaluate.results import Curves, Evaluation, MethodResult, SequenceResult
from isomer.selection import DAVIS16_VAL

__all__ = [
    "DAVIS16_VAL",
    "MEASURES",
    "PROTOCOLS",
    "STABILITY_SEQUENCES",
    "VSOD_MEASURES",
    "ZVOS_MEASURES",
    "Curves",
    "Evaluation",
    "MethodResult",
    "Protocol",
    "SequenceResult",
    "evaluate_vsod",
    "evaluate_zvos",
]

"""Flow estimators by name."""

from __future__ import annotations

from isomer.errors import InputError
from isomer.flow.dis import DISFlow
from isomer.flow.estimator import FlowEstimator


def create_flow(name: str) -> FlowEstimator:
    """Return the estimator of a name.

    Raises:
        InputError: there is none.
    """
    if name != "dis":
        raise InputError(f"flow {name}: unknown; choose dis")
    return DISFlow()

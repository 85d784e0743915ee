"""Flow estimators by name."""

from __future__ import annotations

from collections.abc import Callable

from isomer.flow.dis import DISFlow
from isomer.flow.estimator import FlowEstimator
from isomer.flow.raft import RAFTFlow
from isomer.options import Options, options_of

_ESTIMATORS: dict[str, Callable[[], FlowEstimator]] = {"dis": DISFlow, "raft": RAFTFlow}


def create_flow(name: str) -> FlowEstimator:
    """Return the estimator of a name, with its default settings.

    Raises:
        InputError: there is none.
        MissingPackageError: what runs it is not installed.
    """
    options_of(Options)["flow"].check("flow", name)
    return _ESTIMATORS[name]()

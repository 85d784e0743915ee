"""The state of a run, from which it goes on exactly."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from isomer.errors import InputError
from isomer.files import atomic_path
from isomer.model.network import Isomer
from isomer.train.config import TrainConfig
from isomer.train.ema import MovingAverage

# What may change between a run's start and its end without changing its weights.
_FREE = ("output", "hardware", "log_every", "save_every", "validation")


class Checkpoint:
    """Saves and restores a run: weights, average, optimiser, step and best score.

    Samples, the learning rate and random numbers are functions of (seed, step), so there is no more state.

    Args:
        path: of the file.
        config: of the run; another one's checkpoint is refused.
    """

    def __init__(self, path: Path, config: TrainConfig):
        self.path = path
        self.config = config

    def save(
        self,
        fabric: Fabric,
        model: Isomer,
        average: MovingAverage[Isomer],
        optimizer: torch.optim.Optimizer,
        step: int,
        best: float,
    ) -> None:
        """Write the state before `step`, atomically.

        Raises:
            InputError: the file cannot be written; the one before it is still there.
        """
        state = {
            "config": self.config.model_dump_json(),
            "step": step,
            "best": best,
            "model": model.state_dict(),
            "average": average.model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "precision": fabric.strategy.precision.state_dict(),
        }
        with atomic_path(self.path) as temporary:
            try:
                torch.save(state, temporary)
            except (OSError, RuntimeError) as error:
                raise InputError(f"{self.path}: cannot be written ({error}); make room and resume") from error

    def restore(
        self,
        fabric: Fabric,
        model: nn.Module,
        average: MovingAverage[Isomer],
        optimizer: torch.optim.Optimizer,
    ) -> tuple[int, float]:
        """Put the state back; return the next step and the best score.

        Raises:
            InputError: the file is missing or damaged, or belongs to another configuration.
        """
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise InputError(f"{self.path}: no checkpoint to resume from; leave --resume out") from None
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise InputError(f"{self.path}: not readable; start the run again in another folder") from error
        self._check(json.loads(state["config"]))
        model.load_state_dict(state["model"])
        average.model.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        fabric.strategy.precision.load_state_dict(state["precision"])
        return int(state["step"]), float(state["best"])

    def _check(self, before: dict[str, Any]) -> None:
        now = json.loads(self.config.model_dump_json())
        for config in (before, now):
            for key in ("root", "workers"):
                config["data"].pop(key)
        for section in now:
            if section in _FREE or now[section] == before[section]:
                continue
            changed = section
            if isinstance(now[section], dict):
                changed += "." + next(key for key in now[section] if now[section][key] != before[section][key])
            raise InputError(
                f"{self.path}: {changed} was different when the run began; set it back, or start a new run"
            )

"""The state of a run, from which it goes on exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from pydantic import ValidationError
from torch import nn

from isomer.errors import InputError, reason
from isomer.files import atomic_path
from isomer.model.network import Isomer
from isomer.train.config import OptimizerConfig, TrainConfig
from isomer.train.ema import MovingAverage

# What may change between a run's start and its end without changing its weights.
_FREE: dict[str, Any] = {
    "output": True,
    "log_every": True,
    "save_every": True,
    "data": {"root", "workers"},
    "validation": True,
    "optimizer": {"steps", "decay"},  # checked by themselves
    "hardware": {"accelerator", "devices", "nodes", "threads"},
}


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
            try:  # PyTorch itself takes no names that are not UTF-8
                with temporary.open("wb") as file:
                    torch.save(state, file)
            except (OSError, RuntimeError) as error:
                raise InputError(f"{self.path}: cannot be written ({reason(error)}); make room and resume") from error

    def restore(
        self,
        fabric: Fabric,
        model: nn.Module,
        average: MovingAverage[Isomer],
        optimizer: torch.optim.Optimizer,
    ) -> tuple[int, float]:
        """Put the state back; return the next step and the best score, -1 where validation has changed.

        Raises:
            InputError: the file is missing or damaged, or belongs to another configuration.
        """
        unusable = f"{self.path}: not readable as the state of a run; start the run again in another folder"
        try:
            with self.path.open("rb") as file:
                state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise InputError(f"{self.path}: no checkpoint to resume from; begin the run") from None
        except Exception as error:  # a damaged pickle may raise anything
            raise InputError(unusable) from error
        try:
            before = TrainConfig.model_validate_json(state["config"])  # keys that are newer get their defaults
        except (KeyError, TypeError, ValidationError) as error:
            raise InputError(unusable) from error
        self._check(before)
        try:
            model.load_state_dict(state["model"])
            average.model.load_state_dict(state["average"])
            optimizer.load_state_dict(state["optimizer"])
            fabric.strategy.precision.load_state_dict(state["precision"])
            step, best = int(state["step"]), float(state["best"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(unusable) from error
        self._check_steps(before.optimizer, step)
        return step, best if before.validation == self.config.validation else -1.0

    def _check(self, config: TrainConfig) -> None:
        before, now = (c.model_dump(mode="json", exclude=_FREE) for c in (config, self.config))
        for section in now:
            if now[section] == before[section]:
                continue
            changed = section
            if isinstance(now[section], dict):
                changed += "." + next(key for key in now[section] if now[section][key] != before[section][key])
            raise InputError(
                f"{self.path}: {changed} was different when the run began; set it back, or start a new run"
            )

    def _check_steps(self, before: OptimizerConfig, step: int) -> None:
        """Refuse another number of steps, or of decay, where those done are not the first ones of such a run."""
        now = self.config.optimizer
        is_same = (now.steps, now.decay) == (before.steps, before.decay)
        if is_same or step <= min(before.settled, now.settled):
            return
        raise InputError(
            f"{self.path}: optimizer.steps and decay were {before.steps} and {before.decay} when the run began, and "
            f"its {step} steps depend on them; set them back, or start a new run"
        )

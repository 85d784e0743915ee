"""The workers of a batch: gives tasks to those that are ready, takes in outcomes, replaces those that died."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from isomer.cluster.machines import Resources, cores, first_line, room
from isomer.cluster.plan import Plan, Task
from isomer.cluster.settings import Settings
from isomer.cluster.worker import Worker
from isomer.errors import InputError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Actor:
    """A worker, and the number of its place on this machine."""

    place: int
    handle: Any


class Crew:
    """Workers as actors of Ray, which runs.

    Args:
        settings: of the batch.
        resources: what the workers run on.
    """

    def __init__(self, settings: Settings, resources: Resources) -> None:
        self._settings = settings
        self._resources = resources
        self._gpus, self._most = room(resources, settings.device)
        self._ready: list[_Actor] = []
        self._calls: dict[Any, tuple[_Actor, Task | None]] = {}  # without a task: loads the model
        self._deaths_in_loading = 0

    def work_off(self, plan: Plan) -> None:
        """Do what is planned, and what comes of it, until nothing is left.

        Raises:
            InputError: the model cannot be loaded.
        """
        import ray

        for place in range(self._most if self._settings.shard else min(self._most, len(plan))):
            self._start(place)
        while plan or any(task for _, task in self._calls.values()):
            while plan and self._ready:
                self._hand_out(plan.next(), self._ready.pop())
            (call,), _ = ray.wait(list(self._calls), num_returns=1)
            actor, task = self._calls.pop(call)
            try:
                answer = ray.get(call)
            except ray.exceptions.RayError as error:
                _log.info("a worker died: %s", error)
                if task is not None:
                    plan.take_in_death(task)
                    self._start(actor.place)
                elif self._is_to_load_again(error):
                    self._start(actor.place)
                continue
            self._ready.append(actor)
            if task is not None:
                plan.take_in(task, answer)
            elif answer is not None:
                raise answer
            else:
                self._deaths_in_loading = 0

    def _start(self, place: int) -> None:
        """Start a worker. It gets tasks once it has loaded the model: it may have to wait for room."""
        import ray

        cpus = self._resources.cpus
        own = cores()[place * cpus : (place + 1) * cpus] if self._resources.address is None else []
        actor: Any = ray.remote(Worker).options(num_cpus=cpus, num_gpus=self._gpus)
        handle = actor.remote(self._settings, own if len(own) == cpus else [])
        self._calls[handle.load.remote()] = (_Actor(place, handle), None)

    def _hand_out(self, task: Task, actor: _Actor) -> None:
        call = actor.handle.run.remote(task.method, task.video, *task.arguments)
        self._calls[call] = (actor, task)

    def _is_to_load_again(self, error: Exception) -> bool:
        """Whether to replace a worker that died loading the model; without it the others go on, if there are any."""
        self._deaths_in_loading += 1
        if self._deaths_in_loading <= self._resources.retries:
            return True
        if not self._ready and not self._calls:
            raise InputError(f"workers die loading the model ({first_line(error)}); try fewer")
        return False  # this machine may have no room for more

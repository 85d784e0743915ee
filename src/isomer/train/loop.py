"""The training loop."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from isomer.data.samples import Batch
from isomer.data.sequences import UNKNOWN
from isomer.errors import InputError
from isomer.files import atomic_path, sole_writer
from isomer.model.checkpoint import save_model
from isomer.model.network import Isomer
from isomer.train.batch_norm import share_batch_norm
from isomer.train.build import (
    MicroBatches,
    build_loader,
    build_model,
    build_optimizer,
    build_samples,
    learning_rate_factor,
)
from isomer.train.checkpoint import Checkpoint
from isomer.train.config import HardwareConfig, LossConfig, TrainConfig
from isomer.train.ema import MovingAverage
from isomer.train.interrupt import StopRequest
from isomer.train.log import Log
from isomer.train.loss import heat_map_loss, segmentation_loss
from isomer.train.validation import Validator, normalize


def train(config: TrainConfig, *, resume: bool = False) -> bool:
    """Train a network.

    The run's folder gets `last.pt`, from which the run resumes exactly, `last.safetensors`, the averaged
    weights then, `best.safetensors`, those with the best J&F in validation, and TensorBoard's logs. Step s of
    a run is a function of the weights before it and (seed, s): samples, learning rate and random numbers.

    Args:
        config: of the run.
        resume: go on from the run's `last.pt`.

    Returns:
        Whether the run is complete; it is not after Ctrl-C, SIGTERM or SIGHUP, when a checkpoint has been written.

    Raises:
        InputError: data or weights are missing, the folder holds another run, is in use or cannot be written to,
            the loss is not finite, or a checkpoint cannot be written.
    """
    fabric = _fabric(config.hardware)
    with sole_writer(config.output) if fabric.is_global_zero else nullcontext():
        return _train(config, fabric, resume)


def _train(config: TrainConfig, fabric: Fabric, resume: bool) -> bool:
    checkpoint = Checkpoint(config.output / "last.pt", config)
    if checkpoint.path.exists() and not resume:
        raise InputError(f"{checkpoint.path}: a run is there already; resume it, or give another output")

    fabric.launch()
    torch.manual_seed(config.seed)
    network = build_model(config.model)
    average = MovingAverage(network, config.optimizer.ema)
    if fabric.world_size > 1:
        share_batch_norm(network)
    optimizer = build_optimizer(network, config.optimizer)
    model, fast_optimizer = fabric.setup(network, optimizer)
    model.mark_forward_method("forward_with_heat_maps")
    average.model.to(fabric.device)
    first, best = checkpoint.restore(fabric, network, average, optimizer) if resume else (0, -1.0)

    samples = build_samples(config)
    indices = MicroBatches(config.optimizer, first, fabric.global_rank, fabric.world_size)
    pin = fabric.device.type == "cuda"
    batches = iter(build_loader(samples, indices, config.data.workers, pin=pin))
    validator = None
    if config.validation is not None and fabric.is_global_zero:
        validator = Validator(config.validation, config.data.root)

    done, halt = first == config.optimizer.steps, 0.0
    model.train()
    with StopRequest() as stop, Log(config, first, enabled=fabric.is_global_zero) as log:
        for step in range(first, config.optimizer.steps):
            torch.manual_seed(_step_seed(config.seed, step, fabric.global_rank))
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * learning_rate_factor(config.optimizer, step)

            passes = config.optimizer.accumulate
            used = [next(batches) for _ in range(passes)]
            terms = []
            for number, batch in enumerate(used, 1):
                with fabric.no_backward_sync(model, enabled=number < passes):
                    loss = _losses(model, network, batch, config.loss)
                    fabric.backward(loss.sum() / passes)
                terms.append(loss.detach())
            mean = torch.stack(terms).mean(0)
            *shared, halt = _mean_over_processes(fabric, torch.cat([mean, mean.new_tensor([float(stop.made)])]))
            norm = _clip(fabric, model, fast_optimizer, config.optimizer.clip)
            scaled = config.hardware.precision == "16-mixed"  # its scaler leaves out steps whose gradient overflows
            if not all(map(math.isfinite, shared if scaled else [*shared, norm])):
                _stop_at(config.output, step, fabric.global_rank, used)

            fast_optimizer.step()
            fast_optimizer.zero_grad()
            average.update(network, step)
            log.step(step, shared, norm, optimizer.param_groups[-1]["lr"], used)

            done = step + 1 == config.optimizer.steps
            if validator is not None and (done or (step + 1) % validator.every == 0):
                scores = validator(average.model)
                log.validation(step, scores, used[-1], average.model)
                if scores["J&F"] > best:
                    best = scores["J&F"]
                    _save_average(config, average.model, "best", step, scores)
            if fabric.is_global_zero and (done or halt or (step + 1) % config.save_every == 0):
                checkpoint.save(fabric, network, average, optimizer, step + 1, best)
                _save_average(config, average.model, "last", step, {})
            if halt:
                break
    fabric.barrier()
    return done


def _fabric(config: HardwareConfig) -> Fabric:
    """Return what joins the processes of a distributed run, or stands for the only one."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    return Fabric(
        accelerator=config.accelerator,
        devices=config.devices,
        num_nodes=config.nodes,
        precision=config.precision,
    )


def _step_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of a step's random numbers, such as which paths are dropped."""
    return int(np.random.SeedSequence((seed, 2, step, rank)).generate_state(1)[0])


def _losses(model: Any, network: Isomer, batch: Batch, config: LossConfig) -> Tensor:
    """Return the two weighted terms of the loss, segmentation and heat maps: [2]."""
    device = next(network.parameters()).device
    frame, flow, mask = (x.to(device, non_blocking=True) for x in (batch.frame, batch.flow, batch.mask))
    known, target = (mask != UNKNOWN).float(), (mask == 255).float()
    logits, heat_maps = model.forward_with_heat_maps(normalize(frame, network), normalize(flow, network))
    segmentation = segmentation_loss(logits.float(), target, known, config.iou, config.boundary)
    heat = heat_map_loss([heat_map.float() for heat_map in heat_maps], target, known)
    return torch.stack([segmentation, config.heat_map * heat])


def _mean_over_processes(fabric: Fabric, values: Tensor) -> list[float]:
    mean = fabric.all_reduce(values)
    assert isinstance(mean, Tensor)
    return [float(value) for value in mean.tolist()]


def _clip(fabric: Fabric, model: torch.nn.Module, optimizer: torch.optim.Optimizer, largest: float) -> float:
    """Clip the gradient's norm and return what it was."""
    norm = fabric.clip_gradients(model, optimizer, max_norm=largest, error_if_nonfinite=False)
    assert norm is not None
    return float(norm)


def _stop_at(folder: Path, step: int, rank: int, batches: Sequence[Batch]) -> NoReturn:
    """Save the names of the files that made the loss or its gradient infinite or not a number."""
    path = folder / f"not_finite_{rank}.json"
    sources = [list(names) for batch in batches for names in batch.sources]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps({"step": step, "sources": sources}, indent=2))
    raise InputError(
        f"{path}: the loss is not finite at step {step}, its images are listed there; look at them, or "
        "lower the learning rate"
    )


def _save_average(config: TrainConfig, average: Isomer, name: str, step: int, scores: dict[str, float]) -> None:
    metadata = {"step": str(step + 1), "seed": str(config.seed)}
    metadata |= {key: f"{value:.4f}" for key, value in scores.items()}
    save_model(average, config.output / f"{name}.safetensors", metadata)

"""What a configuration describes: the network, its optimiser, and its samples."""

from __future__ import annotations

import atexit
import math
import multiprocessing
import signal
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from isomer.data.samples import Batch, SampleOptions, TrainingSamples, collate
from isomer.data.sequences import Levels, VideoSequence, find_sequences, select_sequences
from isomer.data.synthetic.cutouts import SceneSampler
from isomer.errors import InputError
from isomer.model.checkpoint import load_encoder
from isomer.model.config import IsomerConfig
from isomer.model.network import Isomer
from isomer.model.zoo import create_model
from isomer.processes import end_with
from isomer.train.config import DataConfig, ModelConfig, OptimizerConfig, SequencesConfig, TrainConfig
from isomer.train.interrupt import STOPS


def build_model(config: ModelConfig) -> Isomer:
    """Build the network with its initial weights, its frozen parts without gradients.

    Raises:
        InputError: weights cannot be loaded, or there is no part of a name to freeze.
    """
    architecture = IsomerConfig(config.encoder, config.fusion, config.head_width)
    model = Isomer(architecture)
    if config.encoder_weights is not None:
        for encoder in (model.backbone_x, model.backbone_y):
            load_encoder(encoder, config.encoder_weights)
    if config.init is not None:
        model = create_model(config.init).train()
        start = replace(model.config, hidden={})  # pruned weights stay pruned
        if start != architecture:
            raise InputError(f"{config.init}: is a {start}, not a {architecture}; correct one of them")
    for parameter in _encoder_parameters(model, config.freeze):
        parameter.requires_grad_(False)
    # As convolutions on CPU and tensor cores like it; PyTorch's stub does not know the argument.
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def _encoder_parameters(model: Isomer, parts: tuple[str, ...]) -> Iterator[Tensor]:
    """Yield the parameters of both encoders below the named parts."""
    for part in parts:
        for encoder in (model.backbone_x, model.backbone_y):
            found = [p for name, p in encoder.named_parameters() if f"{name}.".startswith(f"{part}.")]
            if not found:
                raise InputError(f"model.freeze: the encoder {model.config.encoder} has no part {part}; correct it")
            yield from found


def build_optimizer(model: Isomer, config: OptimizerConfig) -> torch.optim.AdamW:
    """Group the parameters: encoders learn slower; kernels and matrices decay, position biases do not.

    Each group keeps its peak learning rate as `peak`.
    """
    groups = []
    for is_encoder, rate in ((True, config.encoder_learning_rate), (False, config.learning_rate)):
        parameters = [
            (name, p)
            for name, p in model.named_parameters()
            if p.requires_grad and name.startswith("backbone") == is_encoder
        ]
        for decays in (True, False):
            chosen = [p for name, p in parameters if _decays(name, p) == decays]
            decay = config.weight_decay if decays else 0.0
            if chosen:
                groups.append({"params": chosen, "lr": rate, "peak": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups)


def _decays(name: str, parameter: Tensor) -> bool:
    return parameter.ndim > 1 and not name.endswith("relative_position_bias_table")


def learning_rate_factor(config: OptimizerConfig, step: int) -> float:
    """Return the share of the peak learning rate at a step, counted from 0."""
    warm = min(1.0, (step + 1) / max(config.warmup, 1))
    if config.schedule == "cosine":
        left = (1 + math.cos(math.pi * step / config.steps)) / 2
    else:
        left = 1 - math.sqrt(max(step + 1 - config.settled, 0) / max(config.decay, 1))
    return warm * (config.final + (1 - config.final) * left)


def build_samples(config: TrainConfig) -> TrainingSamples:
    """Find the data; nothing but lists of files is read.

    Raises:
        InputError: a folder is missing, empty, or of no known layout.
    """
    data = config.data
    scenes = None
    if data.real < 1:
        scenes = SceneSampler.from_folders(
            [data.root / group.path for group in data.cutouts],
            [data.root / path for path in data.backgrounds],
            [group.weight for group in data.cutouts],
        )
    videos, weights = _videos(data) if data.real > 0 else ([], [])
    options = SampleOptions(
        sizes=data.sizes,
        finish_sizes=data.finish_sizes,
        finish=config.optimizer.settled if data.finish_sizes else None,
        wide=data.wide,
        real=data.real,
        max_step=data.max_step,
        drop_motion=data.drop_motion,
        motion_from_frame=data.motion_from_frame,
        drop_appearance=data.drop_appearance,
        stored_flow=data.stored_flow,
        exact_flow=data.exact_flow,
        strict=data.strict,
    )
    return TrainingSamples(scenes, videos, weights, options, config.optimizer.batch, config.seed)


def _videos(data: DataConfig) -> tuple[list[VideoSequence], list[float]]:
    videos, weights = [], []
    for entry in data.videos:
        found = chosen_sequences(entry, data.root)
        videos += found
        weights += [entry.weight] * len(found)
    return videos, weights


def chosen_sequences(config: SequencesConfig, root: Path) -> list[VideoSequence]:
    """Find the sequences that are asked for.

    Raises:
        InputError: there are none, or none of a name.
    """
    folder = root / config.path
    found = find_sequences(folder, config.layout, Levels(config.background, config.unknown))
    try:
        return select_sequences(found, config.sequences, config.exclude)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None


class MicroBatches:
    """The sample numbers of each forward pass of one process, from a step on.

    Step s takes samples s * batch to (s + 1) * batch - 1; each process has a run of them, and splits it for
    gradient accumulation.
    """

    def __init__(self, config: OptimizerConfig, start: int, rank: int, processes: int):
        if config.batch % (processes * config.accumulate):
            raise InputError(
                f"optimizer.batch: {config.batch} cannot be shared by {processes} processes of "
                f"{config.accumulate} passes each; change one of them"
            )
        self.config, self.start, self.rank = config, start, rank
        self.size = config.batch // (processes * config.accumulate)

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.start, self.config.steps):
            first = step * self.config.batch + self.rank * self.size * self.config.accumulate
            for part in range(self.config.accumulate):
                yield list(range(first + part * self.size, first + (part + 1) * self.size))


def build_loader(samples: TrainingSamples, indices: MicroBatches, workers: int, *, pin: bool) -> DataLoader[Batch]:
    """Load batches in worker processes, four ahead of the loop each."""
    theirs, ours = multiprocessing.Pipe(duplex=False)
    atexit.register(ours.close)  # before multiprocessing sends SIGTERM, which they do not heed, and waits for ever
    loader: DataLoader[Any] = DataLoader(
        samples,
        batch_sampler=indices,
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin,
        worker_init_fn=partial(_start_worker, theirs),
        prefetch_factor=4 if workers else None,
        # Threads of OpenCV and CUDA do not survive a fork.
        multiprocessing_context="spawn" if workers else None,
    )
    return loader


def _start_worker(parent: Connection, number: int) -> None:
    end_with(parent)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for number in STOPS:  # a terminal and SLURM send them to all processes
        signal.signal(number, signal.SIG_IGN)  # to stop is the loop's affair

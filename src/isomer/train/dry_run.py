"""What a run would be, without running it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from isomer.data.samples import collate
from isomer.train.build import build_model, build_samples
from isomer.train.config import TrainConfig
from isomer.train.validation import Validator, normalize


def describe(config: TrainConfig) -> Iterator[str]:
    """Yield lines on the network, the data, the steps and the memory; a sample goes through the network.

    Raises:
        InputError: data or weights are missing.
    """
    model = build_model(config.model)
    counts = [sum(p.numel() for p in model.parameters() if p.requires_grad is grad) for grad in (True, False)]
    yield f"network     {config.model.encoder}, {config.model.fusion}"
    yield f"parameters  {counts[0]:,} trained, {counts[1]:,} frozen"
    samples = build_samples(config)
    if samples.scenes is not None:
        cutouts = ", ".join(
            f"{len(group)} from {entry.path}"
            for group, entry in zip(samples.scenes.cutouts, config.data.cutouts, strict=True)
        )
        yield f"cut-outs    {cutouts}"
        yield f"backgrounds {len(samples.scenes.backgrounds)}"
    if samples.videos:
        pairs = sum(len(video.pairs(1)) for video in samples.videos)
        yield f"videos      {len(samples.videos)} sequences, {pairs} pairs of consecutive frames"
    if config.validation is not None:
        validator = Validator(config.validation, config.data.root)
        yield f"validation  {len(validator.sequences)} sequences, {len(validator)} frames"
    optimizer = config.optimizer
    total = optimizer.steps * optimizer.batch
    yield f"steps       {optimizer.steps} of {optimizer.batch} samples: {total:,} samples"
    memory = _memory(config, counts)
    yield f"memory      about {memory / 2**30:.1f} GiB of tensors, on one device"


def _memory(config: TrainConfig, counts: list[int]) -> float:
    """Estimate bytes: what one sample's forward pass keeps, times the batch, and the weights' copies."""
    model = build_model(config.model).train()
    batch = collate([build_samples(config)[0]])
    side = max(config.data.sizes + config.data.finish_sizes)
    frame, flow = (
        torch.nn.functional.interpolate(normalize(x, model), (side, side)) for x in (batch.frame, batch.flow)
    )
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        # Two of a kind, because batch norm needs more than one value in a channel.
        logits = model(frame.expand(2, -1, -1, -1), flow.expand(2, -1, -1, -1))
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    activations = sum(size for pointer, size in kept.items() if pointer not in weights) / 2
    half = 1.0 if config.hardware.precision == "32-true" else 0.5
    trained, frozen = counts
    del logits
    # Weights and average of all; gradient and two moments of what is trained.
    return 4.0 * (5 * trained + 2 * frozen) + activations * half * config.optimizer.batch / config.optimizer.accumulate

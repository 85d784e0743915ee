"""Validation on sequences the network never trains on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from isomer.data.sequences import Levels, find_sequences
from isomer.errors import InputError
from isomer.flow import DISFlow, flow_to_image
from isomer.media.image import read_image
from isomer.metrics import BoundaryAccuracy, RegionSimilarity
from isomer.model.network import Isomer
from isomer.train.config import ValidationConfig

_BATCH = 16


class _Frame(NamedTuple):
    image: NDArray[np.uint8]  # RGB, of the network's size
    flow: NDArray[np.uint8]  # its image, likewise
    mask: NDArray[np.uint8]  # 0/255, of the frame's size


class Validator:
    """Measures J and F of a network, as means over the sequences.

    Frames and flow are kept in memory, small as the network sees them. `every` is the configured interval.

    Args:
        config: what to validate on.
        root: of its path.

    Raises:
        InputError: there are no sequences, an image cannot be read, or a sequence's images differ in size.
    """

    def __init__(self, config: ValidationConfig, root: Path):
        self.every = config.every
        estimate = DISFlow()
        self.sequences: dict[str, list[_Frame]] = {}
        levels = Levels(config.background, config.unknown)
        for sequence in find_sequences(root / config.path, config.layout, levels):
            pairs = sequence.pairs(1)[:: config.stride]
            if not pairs:
                raise InputError(f"{root / config.path}: {sequence.name} has no two consecutive frames; leave it out")
            frames = []
            for first, second in pairs:
                image, after = read_image(first), read_image(second)
                mask = np.where(sequence.mask(first) == 255, 255, 0).astype(np.uint8)
                if not image.shape[:2] == after.shape[:2] == mask.shape:
                    raise InputError(f"{first}: not of the size of the next frame or of its mask; replace one of them")
                flow = flow_to_image(estimate.between(image, after))
                frames.append(_Frame(_resized(image, config.size), _resized(flow, config.size), mask))
            self.sequences[sequence.name] = frames

    def __len__(self) -> int:
        return sum(len(frames) for frames in self.sequences.values())

    def __call__(self, model: Isomer) -> dict[str, float]:
        """Return `J`, `F`, their mean `J&F`, and `J/<sequence>` of each sequence, all in [0, 1]."""
        scores: dict[str, float] = {}
        boundary = []
        for name, frames in self.sequences.items():
            j, f = RegionSimilarity(), BoundaryAccuracy()
            for start in range(0, len(frames), _BATCH):
                batch = frames[start : start + _BATCH]
                for frame, probability in zip(batch, predict(model, batch), strict=True):
                    size = (frame.mask.shape[1], frame.mask.shape[0])
                    prediction = np.rint(cv2.resize(probability, size) * 255).astype(np.uint8)
                    j.step(prediction, frame.mask)
                    f.step(prediction, frame.mask)
            scores[f"J/{name}"] = j.result().mean
            boundary.append(f.result().mean)
        scores["J"] = float(np.mean(list(scores.values())))
        scores["F"] = float(np.mean(boundary))
        scores["J&F"] = (scores["J"] + scores["F"]) / 2
        return scores


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


@torch.inference_mode()
def predict(model: Isomer, frames: Sequence[_Frame]) -> NDArray[np.float32]:
    """Return the probabilities of some frames of one size, float32 [B, H, W]."""
    device = next(model.parameters()).device
    images, flows = (
        torch.from_numpy(np.stack(planes)).to(device).permute(0, 3, 1, 2)
        for planes in ([frame.image for frame in frames], [frame.flow for frame in frames])
    )
    logits = model(normalize(images, model), normalize(flows, model))
    return np.asarray(logits.sigmoid()[:, 0].cpu(), np.float32)


def normalize(image: Tensor, model: Isomer) -> Tensor:
    """Turn uint8 RGB [B, 3, H, W] into what the network asks for, channels last in memory."""
    mean, std = (torch.tensor(values, device=image.device)[:, None, None] * 255 for values in (model.mean, model.std))
    return ((image.float() - mean) / std).contiguous(memory_format=torch.channels_last)

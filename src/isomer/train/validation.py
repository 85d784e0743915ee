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

from isomer.errors import InputError
from isomer.flow import DISFlow, flow_to_image
from isomer.media.image import read_image
from isomer.metrics import BoundaryAccuracy, RegionSimilarity
from isomer.model.network import Isomer
from isomer.train.build import chosen_sequences
from isomer.train.config import ValidationConfig

_BATCH = 16


class JudgedFrame(NamedTuple):
    """A frame to judge on.

    Attributes:
        image: uint8 RGB [H, W, 3], as the network sees it.
        flows: images of the flow from it to the next frame, likewise, by where they are from: DIS or stored.
        mask: uint8 [h, w], 0 or 255, of the frame's own size.
    """

    image: NDArray[np.uint8]
    flows: dict[str, NDArray[np.uint8]]
    mask: NDArray[np.uint8]


class Validator:
    """Measures J and F of a network, as means over the sequences.

    Flow is what DIS estimates and, where all of the frames have some stored, also that: scores are then the means of
    both. Frames and flow are kept in memory, small as the network sees them. `every` is the configured interval.

    Args:
        config: what to validate on.
        root: of its path.

    Raises:
        InputError: there are no sequences, an image cannot be read, or a sequence's images differ in size.
    """

    def __init__(self, config: ValidationConfig, root: Path):
        self.every = config.every
        estimate = DISFlow()
        self.sequences: dict[str, list[JudgedFrame]] = {}
        for sequence in chosen_sequences(config, root):
            pairs = sequence.pairs(1)[:: config.stride]
            if not pairs:
                raise InputError(f"{root / config.path}: {sequence.name} has no two consecutive frames; leave it out")
            frames = []
            for first, second in pairs:
                image, after = read_image(first), read_image(second)
                mask = np.where(sequence.mask(first) == 255, 255, 0).astype(np.uint8)
                if not image.shape[:2] == after.shape[:2] == mask.shape:
                    raise InputError(f"{first}: not of the size of the next frame or of its mask; replace one of them")
                vectors = {"DIS": estimate.between(image, after), "stored": sequence.stored_flow(first, 1)}
                images = {name: flow_to_image(flow) for name, flow in vectors.items() if flow is not None}
                flows = {name: _resized(flow_image, config.size) for name, flow_image in images.items()}
                frames.append(JudgedFrame(_resized(image, config.size), flows, mask))
            self.sequences[sequence.name] = frames
        everywhere = [frame.flows.keys() for frames in self.sequences.values() for frame in frames]
        self.flows = [name for name in ("DIS", "stored") if all(name in names for names in everywhere)]

    def __len__(self) -> int:
        return sum(len(frames) for frames in self.sequences.values())

    def __call__(self, model: Isomer) -> dict[str, float]:
        """Return `J`, `F`, their mean `J&F`, `J/<sequence>`, and `J&F <flow>` where there are two, all in [0, 1]."""
        regions, boundaries = (np.zeros((len(self.flows), len(self.sequences))) for _ in range(2))
        for row, flow in enumerate(self.flows):
            for column, frames in enumerate(self.sequences.values()):
                regions[row, column], boundaries[row, column] = measure(model, frames, flow)
        scores = {f"J/{name}": float(j) for name, j in zip(self.sequences, regions.mean(0), strict=True)}
        both = (regions + boundaries).mean(1) / 2
        if len(self.flows) > 1:
            scores |= {f"J&F {flow}": float(score) for flow, score in zip(self.flows, both, strict=True)}
        return scores | {"J": float(regions.mean()), "F": float(boundaries.mean()), "J&F": float(both.mean())}


def measure(model: Isomer, frames: Sequence[JudgedFrame], flow: str) -> tuple[float, float]:
    """Return the means of J and F over the frames of a sequence, with one kind of flow, in [0, 1]."""
    j, f = RegionSimilarity(), BoundaryAccuracy()
    for start in range(0, len(frames), _BATCH):
        batch = frames[start : start + _BATCH]
        for frame, probability in zip(batch, predict(model, batch, flow), strict=True):
            size = (frame.mask.shape[1], frame.mask.shape[0])
            prediction = np.rint(cv2.resize(probability, size) * 255).astype(np.uint8)
            j.step(prediction, frame.mask)
            f.step(prediction, frame.mask)
    return j.result().mean, f.result().mean


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


@torch.inference_mode()
def predict(model: Isomer, frames: Sequence[JudgedFrame], flow: str) -> NDArray[np.float32]:
    """Return the probabilities of some frames of one size with one kind of flow, float32 [B, H, W]."""
    device = next(model.parameters()).device
    images, flows = (
        torch.from_numpy(np.stack(planes)).to(device).permute(0, 3, 1, 2)
        for planes in ([frame.image for frame in frames], [frame.flows[flow] for frame in frames])
    )
    logits = model(normalize(images, model), normalize(flows, model))
    return np.asarray(logits.sigmoid()[:, 0].cpu(), np.float32)


def normalize(image: Tensor, model: Isomer) -> Tensor:
    """Turn uint8 RGB [B, 3, H, W] into what the network asks for, channels last in memory."""
    mean, std = (torch.tensor(values, device=image.device)[:, None, None] * 255 for values in (model.mean, model.std))
    return ((image.float() - mean) / std).contiguous(memory_format=torch.channels_last)

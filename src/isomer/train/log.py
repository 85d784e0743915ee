"""What a run says: lines on the terminal, and TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

import numpy as np
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from isomer.data.samples import Batch
from isomer.model.network import Isomer
from isomer.train.config import TrainConfig
from isomer.train.validation import normalize


class Log:
    """Writes to the terminal and to `<output>/tensorboard`; a context manager.

    Args:
        config: of the run.
        first: the step it starts or resumes from; what an interrupted run logged beyond it is dropped.
        enabled: whether this process is the one that speaks.
    """

    def __init__(self, config: TrainConfig, first: int, *, enabled: bool):
        self.config, self.enabled = config, enabled
        self._writer = SummaryWriter(config.output / "tensorboard", purge_step=first + 1) if enabled else None
        self._window: list[Sequence[float]] = []
        self._skipped = 0
        self._start = time.perf_counter()

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def step(self, step: int, losses: Sequence[float], norm: float, rate: float, batches: Sequence[Batch]) -> None:
        """Note a step's losses [segmentation, heat maps], gradient norm, rate, and the images left out."""
        for message in (message for batch in batches for message in batch.skipped):
            self._skipped += 1
            print(f"left out ({self._skipped} so far): {message}", flush=True)
        if self._writer is None:
            return
        self._window.append(losses)
        if (step + 1) % self.config.log_every:
            return
        seconds = time.perf_counter() - self._start
        segmentation, heat = np.mean(self._window, axis=0).tolist()
        speed = len(self._window) * self.config.optimizer.batch / seconds
        scalars = {
            "loss/total": segmentation + heat,
            "loss/segmentation": segmentation,
            "loss/heat_maps": heat,
            "gradient_norm": norm,
            "learning_rate": rate,
            "samples_per_second": speed,
            "images_left_out": self._skipped,
        }
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step + 1)
        total = scalars["loss/total"]
        steps = self.config.optimizer.steps
        print(f"step {step + 1}/{steps}  loss {total:.4f}  norm {norm:.2f}  {speed:.1f} samples/s", flush=True)
        self._window = []
        self._start = time.perf_counter()

    def validation(self, step: int, scores: Mapping[str, float], batch: Batch, average: Isomer) -> None:
        """Note the scores, and show what the averaged network makes of a few samples."""
        assert self._writer is not None
        for name, value in scores.items():
            self._writer.add_scalar(f"validation/{name}", value, step + 1)
        print(
            f"step {step + 1}  " + "  ".join(f"{name} {value:.4f}" for name, value in scores.items()),
            flush=True,
        )
        assert self.config.validation is not None
        count = min(self.config.validation.images, len(batch.frame))
        if count:
            self._writer.add_images("frame, flow, mask, prediction", _pictures(batch, count, average), step + 1)
        self._start = time.perf_counter()


@torch.inference_mode()
def _pictures(batch: Batch, count: int, model: Isomer) -> Tensor:
    """Return a row of four pictures for each sample: uint8 [count, 3, S, 4 S]."""
    device = next(model.parameters()).device
    frame, flow, mask = (x[:count].to(device) for x in (batch.frame, batch.flow, batch.mask))
    probability = model(normalize(frame, model), normalize(flow, model)).sigmoid()
    prediction = (probability * 255).round().to(torch.uint8)
    return torch.cat([frame, flow, mask.expand_as(frame), prediction.expand_as(frame)], -1).cpu()

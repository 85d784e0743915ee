"""Samples a second of `isomer train` against a straightforward training loop, on the same drawn video.

The straightforward loop loads with PIL, transforms image by image, and does nothing in parallel. Each runs in
a process of its own. Usage: python benchmarks/train.py [--device cuda] [--workers 8] [--precision bf16-mixed]
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from isomer.data.kitti import read_kitti_flow
from isomer.data.synthetic.clip import SceneFrames, write_sequence
from isomer.data.synthetic.drawn import draw_scene
from isomer.flow import flow_to_image
from isomer.model.network import Isomer


def straightforward(arguments: argparse.Namespace, folder: Path) -> float:
    """Return samples a second of a loop as a tutorial has it."""
    device = torch.device(arguments.device)
    model = Isomer().to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), 6e-4)
    names = sorted(path.stem for path in (folder / "flow").iterdir())
    rng = np.random.default_rng(0)
    size, batch = arguments.size, arguments.batch

    def sample() -> list[torch.Tensor]:
        name = names[rng.integers(len(names))]
        frame = Image.open(folder / "frames" / f"{name}.png").convert("RGB")
        mask = Image.open(folder / "masks" / f"{name}.png")
        flow = Image.fromarray(flow_to_image(read_kitti_flow(folder / "flow" / f"{name}.png")))
        side = int(min(frame.size) * rng.uniform(0.6, 1))
        x, y = (int(rng.integers(length - side + 1)) for length in frame.size)
        box = (x, y, x + side, y + side)
        planes = [np.array(p.resize((size, size), Image.Resampling.BILINEAR, box)) for p in (frame, flow)]
        target = np.array(mask.resize((size, size), Image.Resampling.NEAREST, box))
        tensors = [torch.from_numpy(plane).permute(2, 0, 1).float() / 127.5 - 1 for plane in planes]
        return [*tensors, torch.from_numpy(target)[None].float() / 255]

    start = 0.0
    for step in range(2 * arguments.steps):
        if step == arguments.steps:
            start = time.perf_counter()
        frame, flow, target = (torch.stack(x).to(device) for x in zip(*(sample() for _ in range(batch)), strict=True))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(frame, flow), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
    return arguments.steps * batch / (time.perf_counter() - start)


def ours(arguments: argparse.Namespace, folder: Path) -> float:
    """Return samples a second of the second half of a run, as the run itself logs them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from isomer.train.config import TrainConfig
    from isomer.train.loop import train

    output = folder.parent / "run"
    config = {
        "output": str(output),
        "log_every": arguments.steps,
        "save_every": 10**6,
        "model": {},
        "data": {"root": str(folder), "videos": [{"path": "."}], "real": 1.0, "sizes": [arguments.size],
                 "workers": arguments.workers},
        "optimizer": {"steps": 2 * arguments.steps, "batch": arguments.batch},
        "hardware": {"accelerator": arguments.device, "precision": arguments.precision},
    }  # fmt: skip
    train(TrainConfig.model_validate(config, strict=False))
    events = EventAccumulator(str(output / "tensorboard"))
    events.Reload()
    return float(events.Scalars("samples_per_second")[-1].value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", default="32-true", help="of ours; the straightforward loop has float32")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8, help="measured, after as many to warm up")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "sequence"
        write_sequence(SceneFrames(draw_scene(np.random.default_rng(0), (456, 256)), 24), folder)
        rates = {}
        context = multiprocessing.get_context("spawn")
        for loop in (straightforward, ours):
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_send, args=(sender, loop, arguments, folder))
            process.start()
            rates[loop.__name__] = receiver.recv()
            process.join()
            print(f"{loop.__name__:16} {rates[loop.__name__]:8.2f} samples/s")
    print(f"ratio            {rates['ours'] / rates['straightforward']:8.2f}")


def _send(sender, loop, arguments, folder) -> None:  # type: ignore[no-untyped-def]
    sender.send(loop(arguments, folder))


if __name__ == "__main__":
    main()

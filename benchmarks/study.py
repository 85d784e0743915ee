"""Which parts of the method matter: short trainings of variants of one recipe, each judged on the same sequences.

    python benchmarks/study.py DATA --encoder-weights FILE [--variants published flow ...] [--seeds 0 1 2]

DATA is the folder of the recipe's data, davis-dev among them. Every finished run is a line of
<out>/results.jsonl at once; the same command again goes on from there, then prints the tables of
benchmarks/README.md. Nothing is selected on the sequences that judge: the weights are those of the last step.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from isomer.data.samples import TrainingSamples
from isomer.files import atomic_path
from isomer.model.checkpoint import load_checkpoint
from isomer.model.network import Isomer
from isomer.train import loop
from isomer.train.build import build_samples
from isomer.train.config import TrainConfig, ValidationConfig, load_config
from isomer.train.validation import Validator

RECIPE = Path("configs/isomer_mobilenet_v2_stage1.yaml")
COMMON = (
    "data.sizes=[128]", "data.workers=0", "optimizer.warmup=12", "optimizer.ema=0.9", "log_every=16",
    "save_every=1000000", "validation=null",
)  # fmt: skip
VARIANTS: dict[str, tuple[str, ...]] = {
    "isomer": (),
    "published": ("model.fusion=published",),
    "vanilla": ("model.fusion=vanilla",),
    "cst": ("model.fusion=cst",),
    "sgst": ("model.fusion=sgst",),
    "no_heat_map_loss": ("loss.heat_map=0.0",),
    "flow_only": ("data.drop_appearance=1.0", "data.drop_motion=0.0", "data.motion_from_frame=0.0"),
    "rgb_only": ("data.drop_motion=1.0", "data.motion_from_frame=0.0"),
    "exact_flow": ("data.exact_flow=true",),
    "drop_motion_0": ("data.drop_motion=0.0",),
    "drop_motion_0.3": ("data.drop_motion=0.3",),
}
JUDGES = ValidationConfig(path=Path("davis-dev"), stride=6, size=(256, 144))

# What a network sees of a frame and its flow image, uint8 RGB [H, W, 3].
_View = Callable[[NDArray[np.uint8], NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.uint8]]]
_VIEWS: dict[str, _View] = {
    "both": lambda frame, flow: (frame, flow),
    "still": lambda frame, flow: (frame, np.full_like(flow, 255)),  # as training drops motion
    "gray": lambda frame, flow: (np.full_like(frame, 127), flow),  # and appearance
}
_SEEN = {  # by variant; others see both
    "flow_only": ("gray",),
    "rgb_only": ("still",),
    "isomer": ("both", "still"),
    "drop_motion_0": ("both", "still"),
    "drop_motion_0.3": ("both", "still"),
}

Scores = dict[str, dict[str, float]]  # by sequence: J and F


class Kept(Dataset[Any]):
    """Samples on disk once drawn, because most variants take the same."""

    def __init__(self, samples: TrainingSamples, folder: Path):
        self.samples, self.folder = samples, folder
        folder.mkdir(parents=True, exist_ok=True)

    def __getitem__(self, index: int) -> Any:
        path = self.folder / f"{index}.pickle"
        if not path.exists():
            with atomic_path(path) as temporary:
                temporary.write_bytes(pickle.dumps(self.samples[index]))
        return pickle.loads(path.read_bytes())


def kept_samples(config: TrainConfig, folder: Path) -> Kept:
    """Return the samples of a run, which are a function of the data's options, batch and seed."""
    key = f"{config.data.model_dump_json()} {config.optimizer.batch} {config.seed}"
    return Kept(build_samples(config), folder / hashlib.sha256(key.encode()).hexdigest()[:16])


def judge(network: Isomer, validator: Validator, view: _View) -> Scores:
    """Measure J and F of each sequence."""
    everything, scores = validator.sequences, {}
    for name, frames in everything.items():
        seen = [view(frame.image, frame.flow) for frame in frames]
        validator.sequences = {
            name: [frame._replace(image=x, flow=y) for frame, (x, y) in zip(frames, seen, strict=True)]
        }
        score = validator(network)
        scores[name] = {"J": score["J"], "F": score["F"]}
    validator.sequences = everything
    return scores


def run(name: str, seed: int, arguments: argparse.Namespace, validator: Validator) -> dict[str, Any]:
    """Train one variant with one seed and measure it."""
    output = arguments.out / f"{name}-{arguments.steps}-{seed}"
    shutil.rmtree(output, ignore_errors=True)  # of a run cut off
    overrides = [*COMMON, *VARIANTS[name], f"optimizer.steps={arguments.steps}", f"seed={seed}"]
    places = [f"output={output}", f"data.root={arguments.data}", f"model.encoder_weights={arguments.encoder_weights}"]
    start = time.perf_counter()
    config = load_config(RECIPE, [*overrides, *places])
    if not loop.train(config):
        raise SystemExit(130)  # Ctrl-C
    network = load_checkpoint(output / "last.safetensors").eval()
    (output / "last.pt").unlink()  # nothing resumes from it
    views = _SEEN.get(name, ("both",))
    return {
        "variant": name,
        "seed": seed,
        "steps": arguments.steps,
        "command": " ".join(["isomer train", str(RECIPE), *overrides]),
        "seconds": round(time.perf_counter() - start),
        "scores": {view: judge(network, validator, _VIEWS[view]) for view in views},
    }


def mean(scores: Scores, measure: str) -> float:
    """Average J, F, or J&F over the sequences, in percent."""
    kinds = measure.split("&")
    return 100 * float(np.mean([sequence[kind] for sequence in scores.values() for kind in kinds]))


def tables(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the tables of runs of one length: over seeds, J by sequence, still scenes, every run."""
    runs = {(result["variant"], result["seed"]): result["scores"] for result in results}
    variants = [name for name in VARIANTS if any(name == variant for variant, _ in runs)]
    sequences = list(next(iter(results[0]["scores"].values())))

    def seeds(name: str) -> list[int]:
        return sorted(seed for variant, seed in runs if variant == name)

    def first_view(name: str, seed: int) -> Scores:
        return next(iter(runs[name, seed].values()))

    yield "| variant | seeds | J | F | J&F | J&F less that of isomer, seed by seed |"
    yield "| --- |" + " --- |" * 5
    for name in variants:
        measured = [[mean(first_view(name, seed), kind) for seed in seeds(name)] for kind in ("J", "F", "J&F")]
        pairs = [seed for seed in seeds(name) if name != "isomer" and ("isomer", seed) in runs]
        less = [mean(first_view(name, seed), "J&F") - mean(first_view("isomer", seed), "J&F") for seed in pairs]
        yield f"| {name} | {len(seeds(name))} | {' | '.join(map(spread, measured))} | {spread(less, '+')} |"

    yield "\n| J | " + " | ".join(sequences) + " |\n| --- |" + " --- |" * len(sequences)
    for name in variants:
        by_sequence = [[100 * first_view(name, seed)[s]["J"] for seed in seeds(name)] for s in sequences]
        yield f"| {name} | {' | '.join(map(spread, by_sequence))} |"

    yield "\n| | J with flow | J without, as of a still scene |\n| --- | --- | --- |"
    for name in variants:
        if _SEEN.get(name) == ("both", "still"):
            j = [[mean(runs[name, seed][view], "J") for seed in seeds(name)] for view in ("both", "still")]
            yield f"| {name} | {' | '.join(map(spread, j))} |"

    yield "\n| run | seed | steps | J | F | " + " | ".join(f"{s} J / F" for s in sequences) + " | overrides |"
    yield "| --- | --- | --- | --- | --- |" + " --- |" * len(sequences) + " --- |"
    for result in sorted(results, key=lambda result: (variants.index(result["variant"]), result["seed"])):
        scores = first_view(result["variant"], result["seed"])
        cells = [f"{100 * scores[s]['J']:.1f} / {100 * scores[s]['F']:.1f}" for s in sequences]
        figures = f"{mean(scores, 'J'):.1f} | {mean(scores, 'F'):.1f}"
        overrides = " ".join(f"`{override}`" for override in VARIANTS[result["variant"]])
        start = f"| {result['variant']} | {result['seed']} | {result['steps']} | {figures}"
        yield f"{start} | {' | '.join(cells)} | {overrides} |"


def spread(values: Sequence[float], sign: str = "") -> str:
    """Format mean and standard deviation of a sample."""
    if len(values) < 2:
        return "".join(f"{value:{sign}.1f}" for value in values)
    return f"{np.mean(values):{sign}.1f} ± {np.std(values, ddof=1):.1f}"


def main() -> None:
    """Run what is not there yet and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder-weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/study"))
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=list(VARIANTS), help="none: only tables")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=64, help="of a run")
    arguments = parser.parse_args()
    path = arguments.out / "results.jsonl"
    results = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(result["variant"], result["seed"]) for result in results if result["steps"] == arguments.steps}
    waiting = [(name, seed) for name in arguments.variants for seed in arguments.seeds if (name, seed) not in done]
    if waiting:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        loop.build_samples = lambda config: kept_samples(config, arguments.out / "samples")
        validator = Validator(JUDGES, arguments.data)
    for name, seed in waiting:
        result = run(name, seed, arguments, validator)
        results.append(result)
        with path.open("a") as file:
            file.write(json.dumps(result) + "\n")
        print(f"{name}, seed {seed}: J {mean(next(iter(result['scores'].values())), 'J'):.1f}", flush=True)
    for steps in sorted({result["steps"] for result in results}):
        print(f"\n### Runs of {steps} steps\n")
        print("\n".join(tables([result for result in results if result["steps"] == steps])))


if __name__ == "__main__":
    main()

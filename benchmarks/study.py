"""Which parts of the method matter: short trainings of variants of one recipe, each judged on the held-out sequences.

    python benchmarks/study.py DATA --encoder-weights FILE [--variants published rgb_only ...] [--seeds 0 1 2]

DATA is the folder of the recipe's data, with the stored flow of its videos. Every finished run is a line of
benchmarks/study.jsonl at once; the same command again goes on from there, then prints the tables of
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
from scipy import stats
from torch.utils.data import Dataset

from isomer.data.samples import TrainingSamples
from isomer.files import atomic_path
from isomer.model.checkpoint import load_checkpoint
from isomer.model.network import Isomer
from isomer.train import loop
from isomer.train.build import build_samples
from isomer.train.config import TrainConfig, load_config
from isomer.train.validation import JudgedFrame, Validator, measure

RECIPE = Path("configs/isomer_efficientnet_lite0.yaml")
COMMON = (
    "data.sizes=[128]", "data.finish_sizes=[]", "data.workers=0", "optimizer.batch=4", "optimizer.schedule=cosine",
    "optimizer.decay=0", "optimizer.warmup=50", "optimizer.ema=0.99", "save_every=1000000", "validation=null",
    "data.real=1.0", "data.max_step=3",  # real pairs and rendered ones: what has both flows
)  # fmt: skip
VARIANTS: dict[str, tuple[str, ...]] = {
    "isomer": (),
    "published": ("model.fusion=published",),
    "vanilla": ("model.fusion=vanilla",),
    "rgb_only": ("data.drop_motion=1.0", "data.motion_from_frame=0.0"),
    "flow_only": ("data.drop_appearance=1.0", "data.drop_motion=0.0", "data.motion_from_frame=0.0"),
    "cst": ("model.fusion=cst",),
    "sgst": ("model.fusion=sgst",),
    "flow_dis": ("data.stored_flow=0.0",),
    "flow_raft": ("data.stored_flow=1.0",),
}
SIZE = (256, 144)

# What a network sees of a frame and its flow image, uint8 RGB [H, W, 3].
_View = Callable[[NDArray[np.uint8], NDArray[np.uint8]], tuple[NDArray[np.uint8], NDArray[np.uint8]]]
_VIEWS: dict[str, _View] = {  # others see both
    "rgb_only": lambda frame, flow: (frame, np.full_like(flow, 255)),  # as training drops motion
    "flow_only": lambda frame, flow: (np.full_like(frame, 127), flow),  # and appearance
}

_FLOWS = {"DIS": "by DIS", "stored": "by RAFT"}

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


def judges(data: Path) -> Validator:
    """Load the recipe's held-out sequences, every fifth frame with its flow by DIS and by RAFT."""
    config = load_config(RECIPE).validation
    assert config is not None
    validator = Validator(config.model_copy(update={"size": SIZE}), data)
    if validator.flows != ["DIS", "stored"]:
        raise SystemExit(f"{data / config.path}: has no flow by RAFT; run isomer prepare there with --flow raft")
    return validator


def judge(network: Isomer, validator: Validator, view: _View | None) -> dict[str, Scores]:
    """Measure J and F of each sequence, with each flow."""
    results: dict[str, Scores] = {flow: {} for flow in validator.flows}
    for name, frames in validator.sequences.items():
        for flow, scores in results.items():
            seen = [_seen(frame, flow, view) for frame in frames]
            j, f = measure(network, seen, flow)
            scores[name] = {"J": j, "F": f}
    return results


def _seen(frame: JudgedFrame, flow: str, view: _View | None) -> JudgedFrame:
    if view is None:
        return frame
    image, flow_image = view(frame.image, frame.flows[flow])
    return frame._replace(image=image, flows={flow: flow_image})


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
    return {
        "variant": name,
        "seed": seed,
        "steps": arguments.steps,
        "command": " ".join(["isomer train", str(RECIPE), *overrides]),
        "seconds": round(time.perf_counter() - start),
        "scores": judge(network, validator, _VIEWS.get(name)),
    }


def mean(scores: Scores, measure: str) -> float:
    """Average J, F, or J&F over the sequences, in percent."""
    kinds = measure.split("&")
    return 100 * float(np.mean([sequence[kind] for sequence in scores.values() for kind in kinds]))


def tables(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the tables of runs of one length: over seeds, J&F by sequence, every run."""
    runs = {(result["variant"], result["seed"]): result["scores"] for result in results}
    variants = [name for name in VARIANTS if any(name == variant for variant, _ in runs)]
    flows = list(results[0]["scores"])
    sequences = list(results[0]["scores"][flows[0]])

    def scores(name: str, flow: str, kind: str) -> list[float]:
        return [mean(runs[run][flow], kind) for run in sorted(runs) if run[0] == name]

    def less(name: str, other: str, flow: str) -> list[float]:
        pairs = [(runs[run], runs[other, run[1]]) for run in sorted(runs) if run[0] == name and (other, run[1]) in runs]
        return [mean(one[flow], "J&F") - mean(two[flow], "J&F") for one, two in pairs]

    yield "| variant | seeds | " + " | ".join(f"J&F, {_FLOWS[f]} | less that of isomer" for f in flows) + " |"
    yield "| --- |" + " --- |" * (1 + 2 * len(flows))
    for name in variants:
        cells = []
        for flow in flows:
            others = [] if name == "isomer" else less(name, "isomer", flow)
            cells += [spread(scores(name, flow, "J&F")), interval(others)]
        yield f"| {name} | {len(scores(name, flows[0], 'J'))} | {' | '.join(cells)} |"

    for flow in flows:
        yield f"\n| J&F, {_FLOWS[flow]} | " + " | ".join(sequences) + " |\n| --- |" + " --- |" * len(sequences)
        for name in variants:
            of_seeds = [runs[run][flow] for run in sorted(runs) if run[0] == name]
            cells = [spread([50 * (one[s]["J"] + one[s]["F"]) for one in of_seeds]) for s in sequences]
            yield f"| {name} | {' | '.join(cells)} |"

    yield "\n| run | seed | steps | " + " | ".join(f"J, F, {_FLOWS[flow]}" for flow in flows) + " | overrides |"
    yield "| --- | --- | --- |" + " --- |" * (len(flows) + 1)
    for result in sorted(results, key=lambda result: (variants.index(result["variant"]), result["seed"])):
        cells = [f"{mean(result['scores'][f], 'J'):.1f}, {mean(result['scores'][f], 'F'):.1f}" for f in flows]
        overrides = " ".join(f"`{override}`" for override in VARIANTS[result["variant"]])
        yield f"| {result['variant']} | {result['seed']} | {result['steps']} | {' | '.join(cells)} | {overrides} |"


def spread(values: Sequence[float], sign: str = "") -> str:
    """Format mean and standard deviation of a sample."""
    if len(values) < 2:
        return "".join(f"{value:{sign}.1f}" for value in values)
    return f"{np.mean(values):{sign}.1f} ± {np.std(values, ddof=1):.1f}"


def interval(differences: Sequence[float]) -> str:
    """Format the mean of differences, seed by seed, and its 95 % interval by Student's t."""
    if len(differences) < 2:
        return "".join(f"{value:+.1f}" for value in differences)
    reach = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return f"{np.mean(differences):+.1f} ({np.mean(differences) - reach:+.1f} to {np.mean(differences) + reach:+.1f})"


def main() -> None:
    """Run what is not there yet and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--encoder-weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="of checkpoints and samples")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/study.jsonl"))
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=list(VARIANTS), help="none: only tables")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1500, help="of a run")
    arguments = parser.parse_args()
    path = arguments.results
    results = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(result["variant"], result["seed"]) for result in results if result["steps"] == arguments.steps}
    waiting = [(name, seed) for seed in arguments.seeds for name in arguments.variants if (name, seed) not in done]
    if waiting:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        loop.build_samples = lambda config: kept_samples(config, arguments.out / "samples")
        validator = judges(arguments.data)
    for name, seed in waiting:
        result = run(name, seed, arguments, validator)
        results.append(result)
        with path.open("a") as file:
            file.write(json.dumps(result) + "\n")
        shown = ", ".join(f"{mean(scores, 'J&F'):.1f} {_FLOWS[flow]}" for flow, scores in result["scores"].items())
        print(f"{name}, seed {seed}: J&F {shown}", flush=True)
    for steps in sorted({result["steps"] for result in results}):
        print(f"\n### Runs of {steps} steps\n")
        print("\n".join(tables([result for result in results if result["steps"] == steps])))


if __name__ == "__main__":
    main()

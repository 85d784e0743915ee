"""Each verb on the samples, with what it writes: for tries of what surrounds a command rather than what it reads."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

NETWORK = ("--size", "64")


@dataclass(frozen=True)
class Verb:
    """How a verb is called.

    Attributes:
        words: of the command; `INPUT` stands for the name of its input, `OUT` for what it writes.
        sample: its input.
        beside: what else it reads.
        suffix: of what it writes, a folder without.
        resume: further words when it goes on after an end midway.
        keeps: whether what is finished stays when it ends midway.
        may_partly_fail: whether its exit code 1 says that some of the inputs were no good.
    """

    words: tuple[str, ...]
    sample: str = "clip.mp4"
    beside: str = ""
    suffix: str = ""
    resume: tuple[str, ...] = ()
    keeps: bool = False
    may_partly_fail: bool = False

    @property
    def writes(self) -> bool:
        """Whether it writes anything."""
        return any("OUT" in word for word in self.words)

    def command(self, given: str, out: str) -> list[str]:
        """Return the command with its names filled in."""
        return [word.replace("INPUT", given).replace("OUT", out) for word in self.words]

    def supply(self, samples: Path, folder: Path, name: str = "") -> str:
        """Put what the verb reads into a folder, its input under another name, and return that of its input."""
        name = name or Path(self.sample).name
        for source, target in ((self.sample, name), *((self.beside, self.beside),) * bool(self.beside)):
            copy = shutil.copytree if (samples / source).is_dir() else shutil.copy
            copy(samples / source, folder / target)
        return name


VERBS = {
    "segment": Verb(("segment", "INPUT", "-o", "OUT", "--output", "masks", *NETWORK)),
    "segment video": Verb(("segment", "INPUT", "-o", "OUT", *NETWORK), suffix=".mp4"),
    "predict": Verb(("predict", "INPUT", "-o", "OUT", *NETWORK), "dataset", keeps=True),
    "batch": Verb(
        ("batch", "INPUT", "-o", "OUT", "--output", "masks", *NETWORK), "clips", keeps=True, may_partly_fail=True
    ),
    "convert": Verb(("convert", "INPUT", "-o", "OUT"), "masks"),
    "convert json": Verb(("convert", "INPUT", "-o", "OUT"), "masks", suffix=".json"),
    "prepare": Verb(("prepare", "INPUT", "OUT"), "dataset", keeps=True, may_partly_fail=True),
    "prepare jobs": Verb(("prepare", "INPUT", "OUT", "--jobs", "2"), "dataset", keeps=True, may_partly_fail=True),
    "evaluate": Verb(
        ("evaluate", "zvos", "maps", "INPUT/Annotations", "--workers", "2", "--save", "OUT"),
        *("dataset", "maps", ".csv"),
    ),
    "synth": Verb(("synth", "OUT", "--size", "96x64", "--frames", "8"), suffix=".mp4"),
    "live": Verb(("live", "INPUT", "-o", "OUT", "--output", "masks", *NETWORK)),
    "export": Verb(
        ("export", "INPUT", "-o", "OUT"), "checkpoints/isomer_efficientnet_lite0.safetensors", suffix=".onnx"
    ),
    "train": Verb(("train", "INPUT", "output=OUT"), "recipe.yaml", "data", resume=("--resume",), keeps=True),
    "models": Verb(("models",)),
    "doctor": Verb(("doctor",)),
}

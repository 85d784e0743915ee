"""Broken files of every kind that is read, for the verb that reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mutation import mutated, mutated_document
from trial import Command, Verdict, judge, run

from isomer.cluster.settings import Settings
from isomer.flow.flo import read_flo
from isomer.model.checkpoint import load_checkpoint
from isomer.train.config import load_config

NETWORK = ("--size", "64")
_RECIPES = Path(__file__).parents[2] / "configs"


def media(folder: Path, samples: Path, random: np.random.Generator) -> Verdict:
    """Decode a broken video to its end; every twentieth one is segmented."""
    source = _any(samples / "videos", random)
    video = _broken(source, folder / source.name, random)
    if random.random() < 0.05:
        return _judged(
            ["segment", video.name, "-o", "out", "--output", "masks", *NETWORK], folder, ["out"], is_fresh=True
        )
    return _judged(["convert", video.name, "-o", "out"], folder, ["out"])


def images(folder: Path, samples: Path, random: np.random.Generator) -> Verdict:
    """Read a broken image as a mask, as a frame, as a prediction and as an annotation."""
    source = _any(samples / "images", random)
    match random.integers(0, 4):
        case 0:
            (folder / "masks").mkdir()
            _broken(source, folder / "masks" / source.name, random)
            return _judged(["convert", "masks", "-o", "out"], folder, ["out"])
        case 1:
            shutil.copytree(samples / "dataset", folder / "dataset")
            kind = ("JPEGImages", "Annotations")[random.integers(2)]
            frame = _any(folder / "dataset" / kind / "a", random)
            frame.unlink()
            _broken(source, frame.with_suffix(source.suffix), random)
            command = ["prepare", "dataset", "out", "--flow", "none"]
            return _judged(command, folder, ["out"], may_partly_fail=True)
        case _ as which:
            for name in ("dataset/Annotations", "maps"):
                shutil.copytree(samples / name, folder / name)
            frame = _any(folder / ("maps/a" if which == 2 else "dataset/Annotations/a"), random)
            _broken(source, frame, random)
            task = ("zvos", "vsod")[random.integers(2)]
            return _judged(["evaluate", task, "maps", "dataset/Annotations", "--workers", "1"], folder)


def documents(folder: Path, samples: Path, random: np.random.Generator) -> Verdict:
    """Convert broken COCO, polygons and YouTube-VIS."""
    name = ("coco", "polygons", "vis")[random.integers(3)]
    _broken_document(samples / f"{name}.json", folder / "in.json", random, json.loads, json.dumps)
    return _judged(["convert", "in.json", "-o", "out"], folder, ["out"])


def manifests(folder: Path, samples: Path, random: np.random.Generator) -> Verdict:
    """Go on with a batch whose manifest is broken."""
    (folder / "out").mkdir()
    shutil.copy(samples / "clip.mp4", folder)
    video = str(folder / "clip.mp4")
    record = {"state": "failed", "modified": (folder / "clip.mp4").stat().st_mtime_ns, "error": "damaged"}
    settings = Settings(size=64, outputs=("masks",)).made_with()
    manifest = {"settings": settings, "videos": {video: record}}
    (folder / "good.json").write_text(json.dumps(manifest))
    _broken_document(folder / "good.json", folder / "out" / "manifest.json", random, json.loads, json.dumps)
    command = ["batch", "clip.mp4", "-o", "out", "--output", "masks", *NETWORK]
    return _judged(command, folder, may_partly_fail=True, is_fresh=True)


def recipes(folder: Path, samples: Path, random: np.random.Generator) -> Verdict:
    """Read a broken recipe."""
    source, target = _any(_RECIPES, random), folder / "recipe.yaml"
    _broken_document(source, target, random, yaml.safe_load, yaml.safe_dump)
    return _judged(lambda: load_config(target), folder)


def checkpoints(folder: Path, samples: Path, random: np.random.Generator) -> Verdict:
    """Load a broken checkpoint, of either format."""
    source = _any(samples / "checkpoints", random)
    broken = _broken(source, folder / source.name, random)
    return _judged(lambda: load_checkpoint(broken), folder)


def flows(folder: Path, samples: Path, random: np.random.Generator) -> Verdict:
    """Read a broken flow."""
    broken = _broken(samples / "plain.flo", folder / "plain.flo", random)
    return _judged(lambda: read_flo(broken), folder)


def zips(folder: Path, samples: Path, random: np.random.Generator) -> Verdict:
    """Convert a broken zip of masks."""
    _broken(samples / "masks.zip", folder / "masks.zip", random)
    return _judged(["convert", "masks.zip", "-o", "out"], folder, ["out"])


def _judged(
    command: Command,
    folder: Path,
    outputs: Sequence[str] = (),
    *,
    may_partly_fail: bool = False,
    is_fresh: bool = False,
) -> Verdict:
    ended = run(command, folder, is_fresh=is_fresh)
    return judge(ended, folder, [folder / name for name in outputs], may_partly_fail=may_partly_fail)


def _any(folder: Path, random: np.random.Generator) -> Path:
    files = sorted(folder.iterdir())
    return files[random.integers(len(files))]


def _broken(source: Path, target: Path, random: np.random.Generator) -> Path:
    target.write_bytes(mutated(source.read_bytes(), random))
    return target


def _broken_document(
    source: Path,
    target: Path,
    random: np.random.Generator,
    load: Callable[[str], Any],
    dump: Callable[[Any], str],
) -> None:
    """Break the values of a document or, one time in three, its bytes."""
    if random.random() < 1 / 3:
        _broken(source, target, random)
    else:
        target.write_text(dump(mutated_document(load(source.read_text()), random)))

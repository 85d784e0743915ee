"""The configuration of a training run: one typed YAML file, with overrides."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from isomer.errors import InputError, brief
from isomer.media.image import read_bytes
from isomer.model.config import EncoderName, FusionName

Share = Annotated[float, Field(ge=0, le=1)]
Level = Annotated[int, Field(ge=0, le=255)]
Positive = Annotated[int, Field(gt=0)]
Side = Annotated[int, Field(ge=32)]


_LARGEST = 1 << 18  # characters and values of a recipe, aliases written out


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class ModelConfig(_Section):
    """The network, and where its weights start.

    Args:
        encoder, fusion, head_width: see `isomer.model.network.IsomerConfig`.
        encoder_weights: ImageNet weights of both encoders.
        init: weights of the whole network, of the same architecture: a checkpoint, such as the stage before, or the
            name of a model whose weights come with the package.
        freeze: parts of both encoders that stay as they are, by the names of their modules.
    """

    encoder: EncoderName = "mobilenet_v2"
    fusion: FusionName = "isomer"
    head_width: Positive = 64
    encoder_weights: Path | None = None
    init: str | None = None
    freeze: tuple[str, ...] = ()


class CutoutsConfig(_Section):
    """A folder of `images` and `masks` of salient objects, drawn from in proportion to `weight`."""

    path: Path
    weight: Annotated[float, Field(gt=0)] = 1.0


class SequencesConfig(_Section):
    """A folder of sequences with masks.

    Args:
        path: the folder; a single sequence's is fine too.
        layout: see `isomer.data.sequences.find_sequences`; recognised by default.
        background, unknown: levels of the masks with that meaning; all others are object.
        sequences: the names of those to take; by default all.
        exclude: the names of those to leave out.
    """

    path: Path
    layout: str | None = None
    background: tuple[Level, ...] = (0,)
    unknown: tuple[Level, ...] = (128,)
    sequences: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class VideosConfig(SequencesConfig):
    """Sequences to train on.

    Args:
        weight: how often each of them is drawn, relatively to those of other folders.
    """

    weight: Annotated[float, Field(gt=0)] = 1.0


class DataConfig(_Section):
    """What samples are made of. Paths are relative to `root`; see `SampleOptions` for the shares.

    Args:
        root: the data's folder, relative to the working directory.
        cutouts, backgrounds: of the synthetic scenes.
        videos: real sequences.
        sizes: samples have N x N pixels; one is drawn for every step.
        finish_sizes: the same while a trapezoid's learning rate decays; `sizes` by default.
        wide: share of the steps whose samples are 16:9 instead of square, with about as many pixels.
        real: share of samples from real videos.
        max_step: real frames are paired up to so many frames apart.
        drop_motion, motion_from_frame: shares of samples without motion, or with the frame in its place.
        drop_appearance: share of samples whose frame is plain gray.
        stored_flow: share of the pairs with stored flow that take it; the others' is what DIS estimates.
        exact_flow: the true flow of synthetic scenes instead of what DIS estimates.
        strict: stop at an unreadable image instead of leaving it out.
        workers: processes that make samples; 0 makes them in the loop.
    """

    root: Path
    cutouts: tuple[CutoutsConfig, ...] = ()
    backgrounds: tuple[Path, ...] = ()
    videos: tuple[VideosConfig, ...] = ()
    sizes: Annotated[tuple[Side, ...], Field(min_length=1)] = (224,)
    finish_sizes: tuple[Side, ...] = ()
    wide: Share = 0.0
    real: Share = 0.15
    max_step: Positive = 1
    drop_motion: Share = 0.06
    motion_from_frame: Share = 0.06
    drop_appearance: Share = 0.0
    stored_flow: Share = 1.0
    exact_flow: bool = False
    strict: bool = False
    workers: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode="after")
    def _shares(self) -> DataConfig:
        if self.drop_motion + self.motion_from_frame + self.drop_appearance > 1:
            raise ValueError("drop_motion, motion_from_frame and drop_appearance are more than 1 together")
        return self

    @model_validator(mode="after")
    def _sources(self) -> DataConfig:
        if self.real < 1 and not (self.cutouts and self.backgrounds):
            raise ValueError("cutouts and backgrounds are needed unless real is 1")
        if self.real > 0 and not self.videos:
            raise ValueError("videos are needed unless real is 0")
        return self


class OptimizerConfig(_Section):
    """AdamW and its schedule.

    Args:
        steps: of the whole run.
        batch: samples a step, over all processes.
        accumulate: forward and backward passes a step and process; the batch is split among them.
        learning_rate, encoder_learning_rate: peaks.
        weight_decay: of kernels and matrices; biases and norms have none.
        warmup: steps of linear growth.
        schedule: after it. A trapezoid stays at the peak, so that the run can be prolonged, and then decays with
            1 - sqrt(share of the decay done) (Hägele et al., NeurIPS 2024).
        decay: the last steps of a trapezoid.
        final: share of the peak at which the cosine or the decay ends.
        clip: largest norm of the gradient.
        ema: decay of the average of the weights that is validated and kept; lower in the first steps.
    """

    steps: Positive
    batch: Positive = 16
    accumulate: Positive = 1
    learning_rate: Annotated[float, Field(gt=0)] = 6e-4
    encoder_learning_rate: Annotated[float, Field(gt=0)] = 1.2e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[int, Field(ge=0)] = 150
    schedule: Literal["cosine", "constant", "trapezoid"] = "cosine"
    decay: Annotated[int, Field(ge=0)] = 0
    final: Share = 0.02
    clip: Annotated[float, Field(gt=0)] = 2.0
    ema: Share = 0.998

    @model_validator(mode="after")
    def _decays(self) -> OptimizerConfig:
        if (self.decay > 0) != (self.schedule == "trapezoid"):
            raise ValueError("decay goes with schedule: trapezoid, and that with a decay")
        if self.decay > self.steps:
            raise ValueError("decay is more than steps")
        return self

    @property
    def settled(self) -> int:
        """The number of steps that would be the same in a longer run."""
        return {"cosine": 0, "constant": self.steps, "trapezoid": self.steps - self.decay}[self.schedule]


class LossConfig(_Section):
    """Weights of the terms (see `isomer.train.loss`), cross-entropy having 1.

    Args:
        iou: of the soft IoU.
        boundary: by how much cross-entropy and IoU count more at the object's boundary.
        heat_map: of the supervision of the SGST heat maps.
    """

    iou: Annotated[float, Field(ge=0)] = 1.0
    boundary: Annotated[float, Field(ge=0)] = 0.0
    heat_map: Annotated[float, Field(ge=0)] = 0.4


class ValidationConfig(SequencesConfig):
    """Sequences to validate on, every n-th frame of each; unknown pixels count as background.

    Args:
        path: relative to the data's root.
        every: steps between validations.
        stride: n.
        size: (width, height) that the network sees.
        images: number of samples to show in TensorBoard.
    """

    every: Positive = 200
    stride: Positive = 5
    size: tuple[Positive, Positive] = (448, 256)
    images: Annotated[int, Field(ge=0)] = 4


class HardwareConfig(_Section):
    """Where to run. Under `torchrun` or SLURM, `devices` is what one node has, or `auto`.

    Args:
        accelerator: `auto` takes a GPU where there is one.
        devices: processes a node.
        nodes: of the cluster.
        precision: of the forward pass.
        threads: of each process on the CPU.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Positive | Literal["auto"] = 1
    nodes: Positive = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    threads: Positive | None = None


class TrainConfig(_Section):
    """A training run.

    Args:
        output: folder of the run's checkpoints and logs.
        seed: of weights, samples and regularisation.
        log_every: steps between lines of the log.
        save_every: steps between checkpoints to resume from.
    """

    output: Path
    seed: Annotated[int, Field(ge=0)] = 0
    log_every: Positive = 50
    save_every: Positive = 200
    model: ModelConfig
    data: DataConfig
    optimizer: OptimizerConfig
    loss: LossConfig = LossConfig()
    validation: ValidationConfig | None = None
    hardware: HardwareConfig = HardwareConfig()

    @model_validator(mode="after")
    def _finish(self) -> TrainConfig:
        if self.data.finish_sizes and self.optimizer.schedule != "trapezoid":
            raise ValueError("data.finish_sizes go with optimizer.schedule: trapezoid")
        return self


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML file and apply overrides such as `optimizer.steps=200` or `data.videos.0.weight=2`.

    Raises:
        InputError: the file is missing or no YAML; a key is unknown or missing, or a value of a wrong type.
    """
    data = read_bytes(path, _LARGEST + 1)
    try:
        if len(data) > _LARGEST:
            raise ValueError("it is too large")
        content = _parse(data.decode())
    except ValueError as error:
        raise InputError(f"{path}: no valid YAML ({brief(error)}); correct it") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no configuration; start from a file of configs/")
    for override in overrides:
        _apply(content, override)
    try:
        # By way of JSON: there, strictness accepts a list for a tuple and text for a path, and no more.
        return TrainConfig.model_validate_json(json.dumps(content, default=str))
    except ValidationError as error:
        raise InputError(f"{path}: {_first(error)}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {brief(error)}; keep to numbers, texts and lists of them") from error


def _parse(text: str) -> Any:
    """Read YAML.

    Raises:
        ValueError: it is none, or larger than a recipe can be.
    """
    try:
        return yaml.load(text, _Loader)
    except Exception as error:  # its constructors raise anything, for 2026-13-45, `!!bool maybe` and so on
        raise ValueError(brief(error)) from error


class _Loader(yaml.SafeLoader):
    """YAML whose floats need no point, 6e-4 being a number as everyone expects, and whose size is limited."""

    def construct_document(self, node: yaml.Node) -> Any:
        """Make the values of a document, unless aliases make it endless or much larger than its text."""
        waiting, size = [node], 0
        while waiting:
            place = waiting.pop()
            if isinstance(place, yaml.MappingNode):
                waiting += [part for pair in place.value for part in pair]
            elif isinstance(place, yaml.SequenceNode):
                waiting += place.value
            elif b"\0" in place.value.encode():
                raise yaml.YAMLError("a text with a null character")
            size += len(place.value) + 1
            if size > _LARGEST:
                raise yaml.YAMLError("it is too large, or contains itself")
        return super().construct_document(node)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Make a whole number of a usual size."""
        number: int = super().construct_yaml_int(node)
        if abs(number) >= 2**63:
            raise yaml.YAMLError(f"a number of {number.bit_length()} bits")
        return number


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _apply(content: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    shown = brief(override)
    if not equals:
        raise InputError(f"{shown}: no override; write KEY=VALUE, for instance optimizer.steps=200")
    try:
        parsed = _parse(value)
    except ValueError:
        raise InputError(f"{shown}: the value is no valid YAML; quote it") from None
    *parents, last = name.split(".")
    place: Any = content
    try:
        for key in parents:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        place[int(last) if isinstance(place, list) else last] = parsed
    except (ValueError, IndexError, TypeError, AttributeError):
        raise InputError(f"{shown}: there is no {brief(name)} in the configuration; check the key") from None


def _first(error: ValidationError) -> str:
    """Say what is wrong first, by the key's name."""
    problem = error.errors()[0]
    keys, is_unknown = _keys(TrainConfig), problem["type"] == "extra_forbidden"
    # Where a key takes values of several types, pydantic adds the type to its place.
    parts = [str(part) for part in problem["loc"] if is_unknown or isinstance(part, int) or part in keys]
    name = brief(".".join(parts)) or "configuration"
    if is_unknown:
        close = difflib.get_close_matches(parts[-1], keys, n=1)
        meant = keys[close[0]] if close == parts[-1:] else "".join(close)  # a known one has its place elsewhere
        return f"{name}: unknown key; " + (f"did you mean {meant}?" if meant else "remove it")
    if problem["type"] == "missing":
        return f"{name}: missing; add it"
    return f"{name}: {problem['msg']}, not {brief(json.dumps(problem['input'], default=str))}; correct it"


def _keys(section: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """Return the keys of a section and those below it, each with its place, N for a number in a list."""
    keys = {name: prefix + name for name in section.model_fields}
    for name, field in section.model_fields.items():
        inside = getattr(field.annotation, "__args__", ())
        for inner in (field.annotation, *inside):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                is_list = inner in inside and type(None) not in inside
                keys = _keys(inner, f"{prefix}{name}.{'N.' if is_list else ''}") | keys
    return keys

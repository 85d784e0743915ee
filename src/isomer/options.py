"""Every option of segmenting, defined once: its type, its default, its range, what it does and what it costs.

`Options` are those of `isomer.Segmenter`, `VideoOptions` those of `isomer.segment_video`, among which are the
`Adjustments` of what is written. Signatures and their documentation, the command line, the server and a batch take from
here what they offer. To make a group of options is to check them; they are checked nowhere else. Some are None unless
they are given: the `quality` then says what they are, and `Options.settled` what that comes to.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from isomer.choice import parse_pick
from isomer.errors import ArgumentError, suggestion

if TYPE_CHECKING:
    from isomer.flow import FlowEstimator
    from isomer.model.network import Isomer

T = TypeVar("T")

BACKENDS = ("auto", "openvino", "onnx", "torch")
PRECISIONS = ("int8", "float")
FLOWS = ("dis", "raft")
FITS = ("cover", "contain", "stretch")
EDGES = ("map", "refined", "matte")


@dataclass(frozen=True)
class Option:
    """What is said of an option, besides its name.

    Attributes:
        default: its value unless another is given.
        meaning: what it does, for users of the library and of the command; N stands for a number that is given.
        cost: what other values than the default cost, or where they pay.
        kind: type of the values.
        choices: all values there are.
        in_python: the object that Python takes in place of a name, if any; beside choices, one that can be called.
        low: the least value.
        high: the greatest value.
        is_open: whether neither of these two will do itself.
        unit: of a number.
        form: takes each value of a list; ValueError says what is wrong with one.
    """

    default: Any
    meaning: str
    cost: str = ""
    kind: type = str
    choices: tuple[object, ...] = ()
    in_python: str = ""
    low: float | None = None
    high: float | None = None
    is_open: bool = False
    unit: str = ""
    form: Callable[[str], object] | None = None

    @property
    def help(self) -> str:
        """What it does and costs."""
        return f"{self.meaning}; {self.cost}" if self.cost else self.meaning

    def check(self, name: str, value: object) -> None:
        """Refuse a value that is of another type or out of range.

        Raises:
            ArgumentError: the value is no good.
        """
        is_left_out = value is None and self.default is None
        if not is_left_out and (problem := self._problem(value)):
            default = "" if self.choices or self.default in (None, ()) else f"; {self.default} is the default"
            raise ArgumentError(name, value, problem + default)
        if self.form is not None and isinstance(value, Sequence):
            for one in value:
                try:
                    self.form(str(one))
                except ValueError as error:
                    raise ArgumentError(name, one, str(error)) from None

    def _problem(self, value: Any) -> str:
        """Say what is wrong with a value; nothing if it is good."""
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if self.kind is bool:
            return "" if isinstance(value, bool) else "neither True nor False"
        if self.kind is int and not (is_number and isinstance(value, Integral)):
            return "not a whole number"
        if self.kind is float and not is_number:
            return "not a number"
        if self.kind is tuple:
            is_list = isinstance(value, Sequence) and not isinstance(value, str)
            return "" if is_list and (value or not self.default) else "not a list of one or more"
        if self.choices:
            *others, last = map(str, self.choices)
            is_object = self.in_python and callable(value)
            if is_object or value in self.choices:
                return ""
            return f"not {', '.join(others)} or {last}{suggestion(str(value), map(str, self.choices))}"
        if self.low is not None and self.high is not None:
            is_inside = self.low < value < self.high if self.is_open else self.low <= value <= self.high
            return "" if is_inside else f"not between {self.low} and {self.high}{self.unit}"
        return f"less than {self.low}{self.unit}" if self.low is not None and value < self.low else ""


def option(default: T, meaning: str, cost: str = "", **more: Any) -> T:
    """Declare an option as a field of an `OptionGroup`; the arguments are the attributes of `Option`."""
    said = Option(default, meaning, cost, **{"kind": type(default), **more})
    declared: T = field(default=default, metadata={"option": said})
    return declared


@dataclass(frozen=True)
class OptionGroup:
    """Options that go together, one a field.

    Raises:
        ArgumentError: a value is of another type or out of range.
    """

    def __post_init__(self) -> None:
        for name, said in options_of(type(self)).items():
            said.check(name, getattr(self, name))

    def of(self, group: type[OptionGroup]) -> dict[str, Any]:
        """Return the values of those options that another group has too, by name."""
        return {name: getattr(self, name) for name in options_of(group)}


def options_of(group: type[OptionGroup]) -> dict[str, Option]:
    """Return the options of a group by name."""
    return {said.name: said.metadata["option"] for said in fields(group) if "option" in said.metadata}


_REACH: dict[str, Any] = {"low": 0, "high": 100, "unit": " pixels"}


@dataclass(frozen=True)
class Quality:
    """What decides between speed and masks: the values of those options that the `quality` is about, by their names."""

    model: str | Path | Isomer = "isomer_efficientnet_lite0"
    size: int = 384
    flow: str | FlowEstimator = "dis"
    key_interval: int = 6
    views: int = 1
    smoothing: float = 1.0
    passes: int = 1
    precision: str = "int8"


QUALITIES = {
    "fast": Quality(size=256),
    "default": Quality(),
    "best": Quality(size=512, key_interval=2, views=2, passes=2, precision="float"),
}
"""By name, from fast to good; chosen on the held-out sequences, see benchmarks/README.md."""

_OF_QUALITY = frozenset(declared.name for declared in fields(Quality))


@dataclass(frozen=True)
class Options(OptionGroup):
    """How frames become maps: the options of `isomer.Segmenter`."""

    quality: str = option(
        "default",
        "how much time masks may take: fast, default or best",
        "it decides on model, size, flow, key interval, views, smoothing, passes and precision unless they are given",
        choices=tuple(QUALITIES),
    )
    model: str | Path | Isomer | None = option(  # noqa: RUF009 (it declares a field)
        None,
        "a model's name, or the path of a checkpoint or of what `isomer export` wrote",
        kind=str,
        in_python="a network",
    )
    size: int | None = option(
        None,
        "the network sees a frame at about N x N pixels, its aspect kept: more finds smaller objects and sharper edges",
        "time grows with its square",
        kind=int,
        low=64,
        high=4096,
        unit=" pixels",
    )
    backend: str = option(
        "auto",
        "what runs the network: torch, openvino, onnx, or auto, which takes the fastest here and names it in the log",
        choices=BACKENDS,
    )
    device: str = option("auto", "where PyTorch runs the network: auto, cpu, cuda, cuda:1, mps")
    flow: str | FlowEstimator | None = option(  # noqa: RUF009
        None,
        "what finds the motion: dis or raft",
        "raft is many times slower, and the default weights do worse with it",
        kind=str,
        choices=FLOWS,
        in_python="a FlowEstimator",
    )
    max_step: int = option(
        4,
        "the flow leads from a frame to the next, or where little moves to one up to N frames on; 1 for flow computed "
        "beforehand",
        low=1,
        high=16,
        unit=" frames",
    )
    key_interval: int | None = option(
        None,
        "the network sees every N-th frame at least, more where more moves; maps between are interpolated along the "
        "flow",
        "1 shows it every frame, which takes up to three times as long",
        kind=int,
        low=1,
        high=12,
        unit=" frames",
    )
    views: int | None = option(
        None,
        "average the maps of N views of a frame: 2 see it mirrored and with the flow from behind as well, 4 both "
        "images with both flows",
        "the network takes N times as long",
        kind=int,
        choices=(1, 2, 4),
    )
    smoothing: float | None = option(
        None,
        "weight of the maps of both neighbours, moved along the flow, in that of a frame that the network sees; its "
        "own has 1; 0 leaves it alone",
        kind=float,
        low=0,
        high=10,
    )
    passes: int | None = option(
        None,
        "2 read a video twice, learn in the first pass what its object looks like, and take out in the second what "
        "looks like no object of the rest of the video",
        "the first mask comes after all frames have been seen",
        kind=int,
        choices=(1, 2),
    )
    precision: str | None = option(
        None,
        "int8 lets OpenVINO run the default model in 8-bit integers on Intel and AMD processors; float does not, nor "
        "does anything else",
        "int8 takes half the network's time and moves edges a little",
        kind=str,
        choices=PRECISIONS,
    )
    edges: str = option(
        "refined",
        "map leaves the object's edges as soft as the network makes them; refined has them follow the picture at its "
        "own resolution; matte finds for cut-outs how much of each pixel is of the object as well, as in hair and blur",
        "matte takes about half as long again",
        choices=EDGES,
    )
    batch: int = option(
        1, "frames that go through the network together", "more pay on a GPU, and delay a stream", low=1
    )
    ahead: int = option(
        2,
        "frames that reading, flow and network each work ahead, in threads of their own",
        "0 does all in one thread, when the next map is asked for: the least memory and delay",
        low=0,
    )

    @property
    def settled(self) -> Quality:
        """What is given, and for the rest what the quality says."""
        given = {name: value for name in _OF_QUALITY if (value := getattr(self, name)) is not None}
        return replace(QUALITIES[self.quality], **given)

    def of(self, group: type[OptionGroup]) -> dict[str, Any]:
        """Return the values of those options that another group has too, by name, none left to the quality."""
        return super().of(group) | {
            name: getattr(self.settled, name) for name in _OF_QUALITY & options_of(group).keys()
        }


@dataclass(frozen=True)
class Adjustments(OptionGroup):
    """How what was found is written; the maps themselves, `probabilities`, stay as they are.

    Holes are filled first, then specks left out; what is left grows, shrinks, and is feathered.
    """

    threshold: float = option(0.5, "probability from which on a pixel is of the object", low=0, high=1, is_open=True)
    fill_holes: bool = option(False, "fill what the object encloses")
    min_area: int = option(0, "leave out parts of the object of fewer than N pixels", low=0, unit=" pixels")
    grow: int = option(0, "have the object reach N pixels farther; if it is shrunk as well, gaps close", **_REACH)
    shrink: int = option(0, "take N pixels off the object's border, as against a fringe", **_REACH)
    feather: float = option(0.0, "soften the edges of cut-outs over about N pixels", **_REACH)


@dataclass(frozen=True)
class VideoOptions(Adjustments, Options):
    """How a video becomes what is written: the options of `isomer.segment_video`."""

    outputs: Sequence[str] = option(("overlay",), "what to write: one or several kinds of output", kind=tuple)
    stride: int = option(1, "take every N-th frame only", low=1)
    objects: bool = option(
        False,
        "tell objects apart, each with a number that stays its own over time, in the outputs that can hold several",
        "the frames are read twice, because only all of a video tells who is who",
    )
    keep: Sequence[str] = option(
        (),
        "leave only these objects, in all outputs: numbers, as isomer objects lists them; points at a time, such as "
        "0.42,0.55@3.2s, or in a frame, 0.42,0.55@80; largest, longest, centre or all",
        kind=tuple,
        form=parse_pick,
    )
    drop: Sequence[str] = option((), "leave these objects out, said as for keep", kind=tuple, form=parse_pick)
    background: str | Path = option(  # noqa: RUF009
        "#00ff00",
        "what is behind the object in composites: black, white, green, blue or #RRGGBB; an image; a video, which "
        "begins again at its end; blur or blur:RADIUS, the frame out of focus; transparent, in images",
    )
    fit: str = option(
        "cover",
        "how an image or a video in the background gets the frame's shape: cover cuts off what is over, contain adds "
        "black bars, stretch bends it",
        choices=FITS,
    )
    premultiplied: bool = option(
        False,
        "multiply the colours of cut-outs with their opacity, in prores and tiff; exr always does, all others never",
    )
    audio: bool = option(True, "keep the sound in videos that are written")
    max_pixels: int = option(2**26, "refuse frames of more than N pixels, which would take too much memory", low=1)

    @property
    def follows_objects(self) -> bool:
        """Whether it takes to know who is who."""
        return bool(self.objects or self.keep or self.drop)


def default_of(name: str, said: Option) -> str:
    """Say what an option is unless it is given: `384; fast: 256`; nothing where that is None."""
    if name not in _OF_QUALITY:
        return "" if said.default is None else str(said.default)
    values = {quality: getattr(settings, name) for quality, settings in QUALITIES.items()}
    default = values.pop(Options.quality)
    others = [f"{quality}: {value}" for quality, value in values.items() if value != default]
    return f"{default}; {', '.join(others)}" if others else str(default)


def documented(group: type[OptionGroup]) -> Callable[[T], T]:
    """Describe the options of a group where a docstring says `options: ...` among the arguments."""

    def fill(target: T) -> T:
        lines = []
        for line in (target.__doc__ or "").splitlines():
            indentation, found, _ = line.partition("options: ")
            if found and not indentation.strip():
                wrapper = textwrap.TextWrapper(120, initial_indent=indentation, subsequent_indent=indentation + " " * 4)
                for name, said in options_of(group).items():
                    also = f"; or {said.in_python}" if said.in_python else ""
                    default = f" (default: {default_of(name, said)})" if name in _OF_QUALITY else ""
                    lines += wrapper.wrap(f"{name}: {said.help}{also}{default}.")
            else:
                lines.append(line)
        target.__doc__ = "\n".join(lines)
        return target

    return fill

"""The outputs: which picture goes into which container."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from isomer.errors import ArgumentError, InputError, suggestion
from isomer.files import Stage
from isomer.media import containers, pictures
from isomer.media.background import PLAIN, Background, Transparent
from isomer.media.containers import Container
from isomer.media.frame import Source
from isomer.media.image import IMAGE_SUFFIXES, encode_palette
from isomer.media.pictures import DEFAULT_LOOK, Look, Picture
from isomer.media.segmented import Segmented
from isomer.options import Adjustments, VideoOptions, options_of


class Output(NamedTuple):
    """A kind of output.

    Attributes:
        picture: draws what it shows of a frame.
        container: opens what the pictures go into; see `Container` for the arguments.
        suffix: what its name has more than the input's.
        help: what it is, in a few words.
        shows_video: whether it shows the frames themselves, not only what was found.
        shows_background: whether it shows the background of a `Look`.
        is_deep: whether it shows the frames at the depth of the source.
        premultiplied: opens the container for pictures whose colours are multiplied with their opacity; None where the
            format has one way only.
    """

    picture: Picture
    container: Callable[[Path, Source, Stage], Container]
    suffix: str
    help: str
    shows_video: bool = False
    shows_background: bool = False
    is_deep: bool = False
    premultiplied: Callable[[Path, Source, Stage], Container] | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, not a file."""
        return not Path(self.suffix).suffix

    def default_path(self, source: Source) -> Path:
        """Where it goes unless told: beside the input, `clip.mp4` giving `clip_overlay.mp4`."""
        path = source.path
        if path.name in ("", ".."):
            path = path.resolve()
        stem = path.name if path.is_dir() else path.stem
        return path.with_name(stem + self.suffix)


OUTPUTS = {
    "overlay": Output(
        pictures.overlay,
        containers.h264,
        "_overlay.mp4",
        "H.264 video, the object tinted and outlined, the rest dimmed",
        shows_video=True,
    ),
    "mask": Output(
        pictures.mask,
        partial(containers.h264, preset="ultrafast"),  # makes it no larger
        "_mask.mp4",
        "H.264 video, the object white, the rest black",
    ),
    "masks": Output(
        pictures.mask, containers.PNGFolder, "_masks", "folder of gray PNGs, 255 on the object and 0 elsewhere"
    ),
    "probabilities": Output(
        pictures.probabilities, containers.PNGFolder, "_probabilities", "folder of gray PNGs, 255 times the probability"
    ),
    "cutout": Output(
        pictures.cutout,
        containers.vp9,
        "_cutout.webm",
        "VP9 video with alpha, the object on transparent",
        shows_video=True,
    ),
    "cutouts": Output(
        pictures.cutout,
        containers.PNGFolder,
        "_cutouts",
        "folder of RGBA PNGs with straight alpha, the object on transparent",
        shows_video=True,
    ),
    "prores": Output(
        pictures.deep_cutout,
        containers.prores,
        "_cutout.mov",
        "ProRes 4444 video with straight 16-bit alpha, the object on transparent",
        shows_video=True,
        is_deep=True,
        premultiplied=containers.prores,
    ),
    "cutouts16": Output(
        pictures.deep_cutout,
        containers.deep_pngs,
        "_cutouts16",
        "folder of RGBA PNGs of 16 bits with straight alpha, the object on transparent",
        shows_video=True,
        is_deep=True,
    ),
    "tiff": Output(
        pictures.deep_cutout,
        containers.TIFFFolder,
        "_tiff",
        "folder of RGBA TIFFs of 16 bits with straight alpha, the object on transparent",
        shows_video=True,
        is_deep=True,
        premultiplied=partial(containers.TIFFFolder, premultiplied=True),
    ),
    "exr": Output(
        pictures.deep_cutout,
        containers.EXRFolder,
        "_exr",
        "folder of OpenEXR images in linear light, the object on transparent",
        shows_video=True,
        is_deep=True,
    ),
    "composite": Output(
        pictures.composite,
        containers.h264,
        "_composite.mp4",
        "H.264 video, the object over a background",
        shows_video=True,
        shows_background=True,
    ),
    "composites": Output(
        pictures.composite,
        containers.PNGFolder,
        "_composites",
        "folder of PNGs, the object over a background",
        shows_video=True,
        shows_background=True,
    ),
    "hevc": Output(
        pictures.deep_composite,
        containers.hevc,
        "_composite_hevc.mp4",
        "HEVC video of 10 bits, the object over a background",
        shows_video=True,
        shows_background=True,
        is_deep=True,
    ),
    "gif": Output(
        pictures.overlay,
        containers.GIF,
        "_preview.gif",
        "looping GIF of the overlay, at most 480 pixels and 10 frames a second",
        shows_video=True,
    ),
    "webp": Output(
        pictures.overlay,
        containers.WebP,
        "_preview.webp",
        "looping WebP of the overlay, at most 480 pixels and 10 frames a second",
        shows_video=True,
    ),
    "zip": Output(pictures.mask, containers.PNGZip, "_masks.zip", "zip of gray PNGs, the same as those of masks"),
    "palette": Output(
        pictures.numbers,
        partial(containers.PNGFolder, encode=encode_palette),
        "_palette",
        "folder of palette PNGs as DAVIS annotates: the values are object numbers",
    ),
    "coco": Output(pictures.numbers, containers.COCO, "_coco.json", "COCO JSON with compressed run lengths"),
    "youtube-vis": Output(
        pictures.numbers, containers.YouTubeVIS, "_youtube_vis.json", "YouTube-VIS JSON, a track an object"
    ),
    "polygons": Output(pictures.numbers, containers.Polygons, "_polygons.json", "COCO JSON with polygons"),
    "cvat": Output(
        pictures.numbers, containers.CVAT, "_cvat.xml", "CVAT XML of a video, a track of polygons an object"
    ),
    "label-studio": Output(
        pictures.numbers,
        containers.LabelStudio,
        "_label_studio.json",
        "Label Studio JSON, a task a frame, a brush an object",
    ),
    "prompts": Output(
        pictures.numbers_and_probabilities,
        containers.Prompts,
        "_prompts.json",
        "JSON with a box, points and a mask of each object where it is clearest, to prompt SAM 2 and matting tools",
    ),
}
"""All kinds of output, by name."""

_FILES = IMAGE_SUFFIXES | {Path(output.suffix).suffix for output in OUTPUTS.values() if not output.is_folder} | {".mkv"}
"""What names of files end in; those of folders may have other dots."""


def find_output(kind: str) -> Output:
    """Return a kind of output by its name.

    Raises:
        InputError: there is none of this name.
    """
    if kind not in OUTPUTS:
        raise InputError(f"{kind}: no such output{suggestion(kind, OUTPUTS)}; choose from {', '.join(OUTPUTS)}")
    return OUTPUTS[kind]


def output_paths(source: Source, output: str | Path | None, kinds: Sequence[Output]) -> tuple[Path, ...]:
    """Return where each kind of output goes.

    Args:
        source: where the frames come from.
        output: with one kind its file or its folder of images; with several, or with one that is a file where a folder
            of this name exists, the folder for all of them. None is beside the source.
        kinds: of the outputs.

    Raises:
        InputError: it would be a folder with the name of a file.
    """
    defaults = [kind.default_path(source) for kind in kinds]
    if output is None:
        return tuple(defaults)
    output = Path(output)
    is_own = len(kinds) == 1 and (kinds[0].is_folder or not output.is_dir())
    if (not is_own or kinds[0].is_folder) and output.suffix.lower() in _FILES and not output.is_dir():
        what = "this kind of output is a folder" if is_own else "several outputs need a folder"
        raise InputError(f"{output}: {what}; leave out {output.suffix}")
    return (output,) if is_own else tuple(output / path.name for path in defaults)


class Writer:
    """An output that is open.

    Attributes:
        path: of the file or folder.
    """

    def __init__(self, picture: Picture, container: Container, look: Look) -> None:
        self.path = container.path
        self._picture = picture
        self._container = container
        self._look = look

    def write(self, result: Segmented) -> None:
        """Add the next frame.

        Raises:
            InputError: it cannot be written.
        """
        self._container.write(result, partial(self._picture, result, self._look))


@contextmanager
def open_outputs(
    outputs: Iterable[tuple[Output, str | Path]], source: Source, look: Look = DEFAULT_LOOK
) -> Iterator[list[Writer]]:
    """Open the outputs of one run, each with its path, to be written frame by frame.

    Leaving the context puts all of them in their places; an error, inside or on the way, leaves nothing of any and
    what was there before. All are opened at once, so that what cannot be written is known before any work.

    Args:
        outputs: kinds, each with the file or folder to write.
        source: where the frames come from.
        look: of the pictures.

    Raises:
        InputError: an output cannot be written (also from leaving it), is the input itself, or has a suffix that is
            not of its format; or the background, or the premultiplied colours, are for none of them.
    """
    outputs = list(outputs)
    check_background(look.background, [output for output, _ in outputs])
    if look.premultiplied and not any(output.premultiplied for output, _ in outputs):
        kinds = " and ".join(kind for kind, output in OUTPUTS.items() if output.premultiplied)
        raise InputError(f"premultiplied: no output that is asked for has the choice; {kinds} have it, exr always is")
    with Stage() as stage, ExitStack() as stack:
        writers = []
        for output, path in outputs:
            if look.background.path is not None and Path(path).resolve() == look.background.path.resolve():
                raise InputError(f"{path}: is the background itself; choose another output")
            opened, picture = output.container, output.picture
            if look.premultiplied and output.premultiplied:
                opened, picture = output.premultiplied, pictures.premultiplied(picture)
            writers.append(Writer(picture, stack.enter_context(opened(Path(path), source, stage)), look))
        yield writers


def check_background(background: Background, outputs: Sequence[Output]) -> None:
    """Refuse a background that outputs cannot have.

    Raises:
        InputError: it is transparent and one is a video, or it is another than that by default and none shows it.
    """
    shown = [output for output in outputs if output.shows_background]
    if background == Transparent() and not all(output.is_folder for output in shown):
        raise ArgumentError(
            "background", "transparent", "is for images such as composites; of the videos, take cutout or prores"
        )
    if background != DEFAULT_LOOK.background and not shown:
        kinds = ", ".join(kind for kind, output in OUTPUTS.items() if output.shows_background)
        raise InputError(f"background: is in none of the outputs asked for; those that show it are {kinds}")


def warn_of_idle(options: VideoOptions, outputs: Sequence[Output]) -> None:
    """Warn of options that were given and change none of the outputs.

    A background that none shows is refused by `check_background`.
    """
    is_soft = any(output.picture in pictures.SOFT for output in outputs)
    is_found = any(output.picture is not pictures.probabilities for output in outputs)
    has_file = not re.fullmatch(PLAIN, str(options.background))
    idle = {
        "feather": (not is_soft, "softens cut-outs and composites only"),
        "edges": (not is_soft and options.edges == "matte", "matte is for cut-outs and composites only"),
        "fit": (not has_file, "is of an image or a video in the background, and there is none"),
    }
    of_masks = "changes no map of probabilities"
    idle |= {name: (not is_found, of_masks) for name in options_of(Adjustments) if name != "feather"}
    for name, (is_idle, why) in idle.items():
        if is_idle and getattr(options, name) != getattr(VideoOptions, name):
            warnings.warn(f"{name}: has no effect on what is written; it {why}", stacklevel=3)


@contextmanager
def open_output(output: Output, path: str | Path, source: Source, look: Look = DEFAULT_LOOK) -> Iterator[Writer]:
    """Open one output; see `open_outputs`."""
    with open_outputs([(output, path)], source, look) as (writer,):
        yield writer

"""Videos with masks, as folders of images: how datasets lay them out, and what a frame of one is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isomer.data.kitti import read_kitti_flow
from isomer.data.masks import read_levels
from isomer.errors import InputError
from isomer.flow import Flow
from isomer.media.image import IMAGE_SUFFIXES, MAX_PIXELS, read_palette

UNKNOWN = 128
"""Level of a mask where the annotation does not say."""

_SUFFIXES = IMAGE_SUFFIXES | {".pgm", ".ppm"}
_S = "{sequence}"

LAYOUTS: dict[str, tuple[str, str]] = {
    "isomer": (f"{_S}/frames", f"{_S}/masks"),
    "davis": (f"JPEGImages/480p/{_S}", f"Annotations/480p/{_S}"),
    "davis-full": (f"JPEGImages/Full-Resolution/{_S}", f"Annotations/Full-Resolution/{_S}"),
    "youtube-vos": (f"JPEGImages/{_S}", f"Annotations/{_S}"),
    "segtrack-v2": (f"JPEGImages/{_S}", f"GroundTruth/{_S}"),
    "davsod": (f"{_S}/Imgs", f"{_S}/GT_object_level"),
    "vsod": (f"{_S}/Imgs", f"{_S}/ground-truth"),
    "fbms": (_S, f"{_S}/GroundTruth"),
}
"""Folders of the frames and the masks of a sequence, by layout.

`isomer` is what `isomer prepare` writes, `davis` that of DAVIS-2016 and 2017, `youtube-vos` also that of
Long-Videos and of FBMS copies with binary masks, `vsod` that of the saliency benchmarks' MCL and ViSal.
"""


@dataclass(frozen=True)
class Levels:
    """What the levels of a mask file mean: these are background or unknown, every other one is object."""

    background: tuple[int, ...] = (0,)
    unknown: tuple[int, ...] = (UNKNOWN,)

    def read(self, paths: Sequence[Path], max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
        """Read the mask of a frame, uint8 [H, W]: 255 object, 0 background, 128 unknown.

        Several files are one object each; a palette PNG's levels are its indices.

        Raises:
            InputError: a file is no image, has transparent parts, or is not of the size of the others.
        """
        masks = [self._read_one(path, max_pixels) for path in paths]
        for path, mask in zip(paths, masks, strict=True):
            if mask.shape != masks[0].shape:
                raise InputError(f"{path}: not of the size of {paths[0]}; replace one of them")
        return np.asarray(np.maximum.reduce(masks), np.uint8)

    def _read_one(self, path: Path, max_pixels: int) -> NDArray[np.uint8]:
        levels = read_palette(path, max_pixels) if is_palette(path) else read_levels(path, max_pixels)
        table = np.full(256, 255, np.uint8)
        table[list(self.unknown)] = UNKNOWN
        table[list(self.background)] = 0
        return table[levels]


@dataclass(frozen=True)
class VideoSequence:
    """One video with masks.

    Args:
        name: of the sequence.
        frames: in order.
        masks: files of a frame's mask, by the frame's stem; not every frame has one.
        flow: by the step, folders with the flow from a frame to the one so many steps on, `<stem>.png` (see
            `isomer.data.kitti`); a pair may lack it.
        levels: of the masks.
    """

    name: str
    frames: tuple[Path, ...]
    masks: dict[str, tuple[Path, ...]]
    flow: Mapping[int, Path] = field(default_factory=dict)
    levels: Levels = Levels()

    def mask(self, frame: Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
        """Read the mask of a frame that has one, uint8 [H, W]: 255 object, 0 background, 128 unknown."""
        return self.levels.read(self.masks[frame.stem], max_pixels)

    def stored_flow(self, frame: Path, step: int) -> Flow | None:
        """Read the flow from a frame to the one `step` steps on, float32 [h, w, 2]; None where none is stored.

        Raises:
            InputError: the file is no 16-bit PNG of three channels.
        """
        path = self.flow[step] / f"{frame.stem}.png" if step in self.flow else None
        return read_kitti_flow(path) if path is not None and path.is_file() else None

    def pairs(self, step: int) -> list[tuple[Path, Path]]:
        """List the pairs of frames `step` apart whose first one has a mask.

        The numbers in the frames' names tell how far apart they are. One step is the smallest distance in the
        sequence, so a video of which only every fifth frame is there has pairs too.
        """
        by_number = {frame_number(path.stem): path for path in self.frames}
        numbers = sorted(by_number)
        unit = min((after - before for before, after in pairwise(numbers)), default=1)
        return [
            (by_number[number], by_number[number + step * unit])
            for number in numbers
            if number + step * unit in by_number and by_number[number].stem in self.masks
        ]


def select_sequences(
    sequences: Sequence[VideoSequence], only: Sequence[str], exclude: Sequence[str]
) -> list[VideoSequence]:
    """Return the sequences of the names in `only`, or all if there are none, without those in `exclude`.

    Raises:
        InputError: there is no sequence of a name, or none is left.
    """
    known = {sequence.name for sequence in sequences}
    for name in (*only, *exclude):
        if name not in known:
            raise InputError(f"{name}: there is no sequence of this name; correct it")
    wanted = set(only or known) - set(exclude)
    if not wanted:
        raise InputError(f"{', '.join(exclude)}: there is no other sequence; leave one in")
    return [sequence for sequence in sequences if sequence.name in wanted]


def frame_number(stem: str) -> int:
    """Return the last number in a name, as in `camel01_0012`; 0 without one."""
    numbers = re.findall(r"\d+", stem)
    return int(numbers[-1]) if numbers else 0


def find_sequences(root: Path, layout: str | None = None, levels: Levels | None = None) -> list[VideoSequence]:
    """List the sequences with masks below a folder, by name; the folder may be a sequence itself.

    Args:
        root: the dataset as downloaded, or as `isomer prepare` wrote it.
        layout: a key of `LAYOUTS`, `FRAMES:MASKS` with `{sequence}` in both, or None to recognise it.
        levels: of the masks.

    Raises:
        InputError: nothing is found, or the layout is not recognised or unknown.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; check the path")
    candidates = list(LAYOUTS.values()) if layout is None else [_templates(layout)]
    if layout is None and (root / "frames").is_dir() and (root / "masks").is_dir():
        return [_sequence(root.name, root / "frames", root / "masks", levels or Levels())]
    for templates in candidates:
        found = _find(root, *templates, levels or Levels())
        if found:
            return found
    known = ", ".join(LAYOUTS)
    raise InputError(f"{root}: no sequences found; name the layout, one of {known}, or as FRAMES:MASKS")


def _templates(layout: str) -> tuple[str, str]:
    if layout in LAYOUTS:
        return LAYOUTS[layout]
    frames, _, masks = layout.partition(":")
    if _S not in frames or _S not in masks:
        raise InputError(f"layout {layout}: unknown; choose from {', '.join(LAYOUTS)}, or FRAMES:MASKS with {_S}")
    return frames, masks


def _find(root: Path, frames: str, masks: str, levels: Levels) -> list[VideoSequence]:
    """Look for sequences at the root, then one level below, where downloads have `train` or `Trainingset`."""
    before = frames.partition(_S)[0]
    for top in (root, *sorted(p for p in root.iterdir() if p.is_dir())):
        found = []
        for folder in sorted((top / before).glob("*")):
            name = folder.name
            frame_folder, mask_folder = top / frames.replace(_S, name), top / masks.replace(_S, name)
            if name[0] != "." and frame_folder.is_dir() and mask_folder.is_dir():
                found.append(_sequence(name, frame_folder, mask_folder, levels))
        if found:
            return found
    return []


def _sequence(name: str, frame_folder: Path, mask_folder: Path, levels: Levels) -> VideoSequence:
    frames = sorted(_images(frame_folder), key=lambda path: (frame_number(path.stem), path.name))
    folders = [folder for folder in sorted(mask_folder.iterdir()) if folder.is_dir()] or [mask_folder]
    files = [path for folder in folders for path in _images(folder)]
    if not frames or not files:
        raise InputError(f"{mask_folder if frames else frame_folder}: no images there; complete the dataset")
    stems = {frame.stem: frame.stem for frame in frames}
    stems |= {f"{frame.stem}_gt": frame.stem for frame in frames}
    by_number = {frame_number(frame.stem): frame.stem for frame in frames}
    masks: dict[str, tuple[Path, ...]] = {}
    for path in files:
        stem = stems.get(path.stem) or by_number.get(frame_number(path.stem))
        if stem is None:
            raise InputError(f"{path}: a mask without a frame in {frame_folder}; add the frame or remove the mask")
        masks[stem] = (*masks.get(stem, ()), path)
    return VideoSequence(name, tuple(frames), masks, _flow_folders(frame_folder), levels)


def flow_folder(sequence: Path, step: int) -> Path:
    """Return where the flow of a step is stored in a sequence of the layout `isomer`: `flow`, `flow_2`, `flow_3`."""
    return sequence / ("flow" if step == 1 else f"flow_{step}")


def _flow_folders(frames: Path) -> dict[int, Path]:
    if frames.name != "frames":
        return {}
    steps = [1] + [int(p.name[5:]) for p in frames.parent.glob("flow_*") if p.name[5:].isdecimal()]
    return {step: folder for step in sorted(steps) if (folder := flow_folder(frames.parent, step)).is_dir()}


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and p.name[0] != ".")


def is_palette(path: Path) -> bool:
    """Tell whether a file is a PNG with a palette."""
    with path.open("rb") as file:
        head = file.read(26)
    return head.startswith(b"\x89PNG") and head[25:26] == b"\x03"

"""Saliency maps of a whole dataset, in its own layout, to be evaluated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from isomer.errors import InputError
from isomer.files import atomic_path
from isomer.media import OUTPUTS, FrameSource, open_frames, open_output
from isomer.media.image import IMAGE_SUFFIXES, read_gray
from isomer.options import VideoOptions
from isomer.segment.door import TakenFrames
from isomer.segment.segmenter import Segmenter
from isomer.segment.video import segment_frames
from isomer.selection import select_sequences

# Where the frames of a sequence are: DAVIS, YouTube-VOS and others; DAVSOD, ViSal, MCL; ours; FBMS.
_LAYOUTS = ("JPEGImages/480p/*", "JPEGImages/Full-Resolution/*", "JPEGImages/*", "*/Imgs", "*/frames", "*")
_SETTINGS = "predictions.json"


@dataclass(frozen=True)
class SequencePrediction:
    """One sequence done.

    Attributes:
        name: of the sequence.
        folder: where its maps are, one 8-bit gray PNG a frame.
        frames: number of maps.
        skipped: whether an earlier run had finished it.
    """

    name: str
    folder: Path
    frames: int
    skipped: bool


def find_frame_folders(dataset: str | Path) -> dict[str, Path]:
    """Find the folder of frames of every sequence: as DAVIS, YouTube-VOS, FBMS, DAVSOD or ours lay them out.

    Raises:
        InputError: the dataset is missing or holds no folder of images in any of these layouts.
    """
    dataset = Path(dataset)
    for layout in _LAYOUTS:
        folders = sorted(folder for folder in dataset.glob(layout) if folder.is_dir() and _images(folder))
        if folders:
            named_above = not layout.endswith("*")
            return {(folder.parent if named_above else folder).name: folder for folder in folders}
    raise InputError(f"{dataset}: no sequences found; give a folder laid out as DAVIS, FBMS or <sequence>/<frame>.jpg")


def check_dataset(
    dataset: str | Path, output: str | Path, settings: Mapping[str, object], sequences: Sequence[str] = ()
) -> dict[str, Path]:
    """Refuse what `predict_dataset` would refuse at its start, before a model is loaded and without writing.

    Returns:
        The folder of frames of every sequence to predict, by its name.

    Raises:
        InputError: as `predict_dataset`.
    """
    folders = select_sequences(dataset, find_frame_folders(dataset), sequences)
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file, not a folder; choose another output")
    made_with = output / _SETTINGS
    if made_with.exists() and not (made_with.is_file() and made_with.read_bytes() == _text(settings).encode()):
        raise InputError(f"{output}: holds maps made with other settings ({_SETTINGS}); choose another output")
    return folders


def predict_dataset(
    dataset: str | Path,
    output: str | Path,
    segmenter: Segmenter,
    settings: Mapping[str, object],
    sequences: Sequence[str] = (),
    max_pixels: int = VideoOptions.max_pixels,
) -> Iterator[SequencePrediction]:
    """Write `<output>/<sequence>/<frame>.png` for every sequence, which is round(255 p), and say so one by one.

    A sequence is written whole or not at all. One that an earlier run has finished is skipped when every map
    of it decodes and has the size of the frames.

    Args:
        dataset: folder of the dataset.
        output: folder to write.
        segmenter: does the work.
        settings: what the maps depend on, kept in `<output>/predictions.json`; an output made with other
            settings is refused.
        sequences: predict only these; see `select_sequences`. All by default.
        max_pixels: the most that a frame may have.

    Raises:
        InputError: the dataset is not understood, or the output cannot be written or has other settings.
    """
    folders = check_dataset(dataset, output, settings, sequences)
    output = Path(output)
    with atomic_path(output / _SETTINGS) as temporary:
        temporary.write_text(_text(settings))
    for name, folder in folders.items():
        source = open_frames(folder, max_pixels)
        target = output / name
        names = {frame.stem for frame in _images(folder)}
        finished = all(_is_finished(target / f"{frame}.png", source, max_pixels) for frame in names)
        if not finished:
            with open_output(OUTPUTS["probabilities"], target, source) as writer:
                segment_frames(segmenter, TakenFrames(source), [writer])
        yield SequencePrediction(name, target, len(names), finished)


def _images(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != "."]


def _text(settings: Mapping[str, object]) -> str:
    return json.dumps(dict(settings), indent=2, sort_keys=True) + "\n"


def _is_finished(path: Path, source: FrameSource, max_pixels: int) -> bool:
    try:
        height, width = read_gray(path, max_pixels).shape
    except InputError:
        return False
    return (width, height) == source.size

"""The outputs by name: what writes each, and where it goes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from isomer.errors import InputError
from isomer.media.coco import COCOWriter, PolygonWriter, YouTubeVISWriter
from isomer.media.frame import Source
from isomer.media.writer import (
    CutoutFolderWriter,
    CutoutVideoWriter,
    GIFWriter,
    MaskFolderWriter,
    MaskVideoWriter,
    OverlayVideoWriter,
    PaletteFolderWriter,
    ProbabilityFolderWriter,
    ProResWriter,
    WebPWriter,
    Writer,
    ZipWriter,
)


class Output(NamedTuple):
    """A kind of output: what writes it, and the suffix that makes its name from the input's."""

    writer: type[Writer]
    suffix: str


OUTPUTS: dict[str, Output] = {
    "overlay": Output(OverlayVideoWriter, "_overlay.mp4"),
    "mask": Output(MaskVideoWriter, "_mask.mp4"),
    "masks": Output(MaskFolderWriter, "_masks"),
    "probabilities": Output(ProbabilityFolderWriter, "_probabilities"),
    "cutout": Output(CutoutVideoWriter, "_cutout.webm"),
    "cutouts": Output(CutoutFolderWriter, "_cutouts"),
    "prores": Output(ProResWriter, "_cutout.mov"),
    "gif": Output(GIFWriter, "_preview.gif"),
    "webp": Output(WebPWriter, "_preview.webp"),
    "zip": Output(ZipWriter, "_masks.zip"),
    "palette": Output(PaletteFolderWriter, "_palette"),
    "coco": Output(COCOWriter, "_coco.json"),
    "youtube-vis": Output(YouTubeVISWriter, "_youtube_vis.json"),
    "polygons": Output(PolygonWriter, "_polygons.json"),
}
"""Outputs by name."""


def default_path(kind: str, source: Source) -> Path:
    """Where an output of the kind goes unless told: beside the input, `clip.mp4` giving `clip_overlay.mp4`.

    Raises:
        InputError: there is no such kind.
    """
    path = source.path
    if path.name in ("", ".."):
        path = path.resolve()
    stem = path.name if path.is_dir() else path.stem
    return path.with_name(stem + _output(kind).suffix)


def create_writer(kind: str, path: str | Path | None, source: Source, threshold: float = 0.5) -> Writer:
    """Open the writer of an output by name (a key of OUTPUTS), at `path` or at its `default_path`.

    Raises:
        InputError: there is no such kind, or the output cannot be written.
    """
    writer = _output(kind).writer
    return writer(default_path(kind, source) if path is None else path, source, threshold)


def _output(kind: str) -> Output:
    if kind not in OUTPUTS:
        raise InputError(f"{kind}: no such output; choose from {', '.join(OUTPUTS)}")
    return OUTPUTS[kind]

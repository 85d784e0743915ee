"""Videos and image folders in as a lazy stream of RGB frames; masks, overlays and cut-outs out."""

from isomer.media.frame import Frame, FrameSource
from isomer.media.labels import Labels
from isomer.media.outputs import OUTPUTS, create_writer, default_path
from isomer.media.reader import open_frames
from isomer.media.segmented import Segmented
from isomer.media.video import DamagedVideoWarning
from isomer.media.writer import (
    CutoutFolderWriter,
    CutoutVideoWriter,
    MaskFolderWriter,
    MaskVideoWriter,
    OverlayVideoWriter,
    ProbabilityFolderWriter,
    Writer,
)

__all__ = [
    "OUTPUTS",
    "CutoutFolderWriter",
    "CutoutVideoWriter",
    "DamagedVideoWarning",
    "Frame",
    "FrameSource",
    "Labels",
    "MaskFolderWriter",
    "MaskVideoWriter",
    "OverlayVideoWriter",
    "ProbabilityFolderWriter",
    "Segmented",
    "Writer",
    "create_writer",
    "default_path",
    "open_frames",
]

"""Videos and image folders in as a lazy stream of RGB frames; masks, overlays and cut-outs out."""

from isomer.media.frame import Frame, FrameSource
from isomer.media.reader import open_frames
from isomer.media.video import DamagedVideoWarning
from isomer.media.writer import (
    OUTPUTS,
    CutoutFolderWriter,
    CutoutVideoWriter,
    MaskFolderWriter,
    MaskVideoWriter,
    OverlayVideoWriter,
    ProbabilityFolderWriter,
    Writer,
    create_writer,
    default_path,
)

__all__ = [
    "OUTPUTS",
    "CutoutFolderWriter",
    "CutoutVideoWriter",
    "DamagedVideoWarning",
    "Frame",
    "FrameSource",
    "MaskFolderWriter",
    "MaskVideoWriter",
    "OverlayVideoWriter",
    "ProbabilityFolderWriter",
    "Writer",
    "create_writer",
    "default_path",
    "open_frames",
]

"""Videos and image folders in as a lazy stream of RGB frames; masks, overlays and cut-outs out."""

from isomer.media.frame import Frame, FrameSource
from isomer.media.labels import Labels
from isomer.media.outputs import OUTPUTS, Output, Writer, find_output, open_output, open_outputs, output_paths
from isomer.media.pictures import Look
from isomer.media.reader import open_frames
from isomer.media.segmented import Segmented
from isomer.media.video import DamagedVideoWarning

__all__ = [
    "OUTPUTS",
    "DamagedVideoWarning",
    "Frame",
    "FrameSource",
    "Labels",
    "Look",
    "Output",
    "Segmented",
    "Writer",
    "find_output",
    "open_frames",
    "open_output",
    "open_outputs",
    "output_paths",
]

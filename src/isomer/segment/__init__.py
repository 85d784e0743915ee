"""From frames to probability maps: the segmenter, its back ends, and the one call that does it all."""

from isomer.segment.backends import BACKENDS, Backend
from isomer.segment.segmenter import Segmenter
from isomer.segment.video import Summary, segment_video

__all__ = ["BACKENDS", "Backend", "Segmenter", "Summary", "segment_video"]

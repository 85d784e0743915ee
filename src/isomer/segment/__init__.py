"""From frames to probability maps: the segmenter, its back ends, and the one call that does it all."""

from isomer.segment.segmenter import Segmenter
from isomer.segment.video import Summary, segment_video

__all__ = ["Segmenter", "Summary", "segment_video"]

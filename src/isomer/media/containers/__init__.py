"""What pictures are put into, by format: files and folders that know nothing of what they show."""

from isomer.media.containers.animations import GIF, WebP
from isomer.media.containers.annotations import COCO, CVAT, LabelStudio, Polygons, YouTubeVIS
from isomer.media.containers.container import Container
from isomer.media.containers.images import PNGFolder, PNGZip
from isomer.media.containers.prompts import Prompts
from isomer.media.containers.video import h264, prores, vp9

__all__ = [
    "COCO",
    "CVAT",
    "GIF",
    "Container",
    "LabelStudio",
    "PNGFolder",
    "PNGZip",
    "Polygons",
    "Prompts",
    "WebP",
    "YouTubeVIS",
    "h264",
    "prores",
    "vp9",
]

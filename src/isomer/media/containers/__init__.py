"""What pictures are put into, by format: files and folders that know nothing of what they show."""

from isomer.media.containers.animations import GIF, WebP
from isomer.media.containers.annotations import COCO, CVAT, LabelStudio, Polygons, YouTubeVIS
from isomer.media.containers.container import Container
from isomer.media.containers.images import EXRFolder, PNGFolder, PNGZip, TIFFFolder, deep_pngs
from isomer.media.containers.prompts import Prompts
from isomer.media.containers.video import h264, hevc, prores, vp9

__all__ = [
    "COCO",
    "CVAT",
    "GIF",
    "Container",
    "EXRFolder",
    "LabelStudio",
    "PNGFolder",
    "PNGZip",
    "Polygons",
    "Prompts",
    "TIFFFolder",
    "WebP",
    "YouTubeVIS",
    "deep_pngs",
    "h264",
    "hevc",
    "prores",
    "vp9",
]

"""What pictures are put into, by format: files and folders that know nothing of what they show."""

from isomer.media.containers.animations import GIF, WebP
from isomer.media.containers.annotations import COCO, Polygons, YouTubeVIS
from isomer.media.containers.container import Container
from isomer.media.containers.images import PNGFolder, PNGZip
from isomer.media.containers.video import h264, prores, vp9

__all__ = ["COCO", "GIF", "Container", "PNGFolder", "PNGZip", "Polygons", "WebP", "YouTubeVIS", "h264", "prores", "vp9"]

"""Maps of object numbers as text: COCO with run lengths or polygons, YouTube-VIS, CVAT's XML, Label Studio's JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.files import Stage
from isomer.media.containers.container import as_text
from isomer.media.containers.document import Document, json_array
from isomer.media.frame import Frame, Pixels, Source
from isomer.media.labels import object_numbers
from isomer.media.polygons import joined, mask_to_polygons
from isomer.media.rle import encode_brush, encode_rle

_LABEL = "object"
_CATEGORIES = [{"id": 1, "name": _LABEL, "supercategory": _LABEL}]


class _Annotations(Document):
    """Objects of each frame."""

    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        super()._open(source, stage, resources)
        self._objects: set[int] = set()
        self._count = 0

    def _put(self, frame: Frame, picture: Pixels) -> None:
        numbers = object_numbers(picture)
        self._objects.update(numbers)
        self._count += 1
        objects = {number: self._object(np.asarray(picture == number, np.uint8)) for number in numbers}
        self._keep({"index": frame.index, "name": frame.name, "objects": objects})

    def _object(self, mask: NDArray[np.uint8]) -> dict[str, Any]:
        return {
            "segmentation": self._segmentation(mask),
            "bbox": list(cv2.boundingRect(mask)),
            "area": int(np.count_nonzero(mask)),
        }

    def _segmentation(self, mask: NDArray[np.uint8]) -> Any:
        return encode_rle(mask)

    def _head(self) -> str:
        """Begin COCO's document."""
        information = {"description": as_text(self._source.path.name)}  # without, pycocotools loads no results
        return f'{{"info": {json.dumps(information)},\n"licenses": [],\n'


def _file(frame: dict[str, Any]) -> str:
    return as_text(f"{frame['name']}.png")


class COCO(_Annotations):
    """COCO: one image a frame, one annotation an object and frame, with compressed run lengths.

    `track_id` is the object's number, the same over time; CVAT's libraries look for it in `attributes`.
    """

    def _parts(self) -> Iterator[str]:
        yield self._head()
        yield '"images": '
        yield from json_array(self._images())
        yield ',\n"annotations": '
        yield from json_array(self._annotations())
        yield f',\n"categories": {json.dumps(_CATEGORIES)}}}\n'

    def _images(self) -> Iterator[dict[str, Any]]:
        width, height = self._source.size
        for number, frame in enumerate(self._kept(), start=1):
            yield {"id": number, "file_name": _file(frame), "width": width, "height": height}

    def _annotations(self) -> Iterator[dict[str, Any]]:
        number = 0
        for image, frame in enumerate(self._kept(), start=1):
            for track, found in frame["objects"].items():
                number += 1
                identity = {"id": number, "image_id": image, "category_id": 1, "track_id": int(track)}
                yield {**identity, **found, "iscrowd": 0, "attributes": {"track_id": int(track)}}


class Polygons(COCO):
    """COCO with polygons, which annotation tools can edit; outlines are within a pixel of the mask's."""

    def _segmentation(self, mask: NDArray[np.uint8]) -> Any:
        return [polygon.ravel().tolist() for polygon in mask_to_polygons(mask)]


class YouTubeVIS(_Annotations):
    """YouTube-VIS: one annotation an object, with compressed run lengths, or null, for each frame."""

    def _parts(self) -> Iterator[str]:
        width, height = self._source.size
        size = {"width": width, "height": height}
        yield self._head()
        yield '"videos": [' + json.dumps({"id": 1, **size, "length": self._count})[:-1] + ', "file_names": '
        yield from json_array(_file(frame) for frame in self._kept())
        yield '}],\n"annotations": '
        separator = "["
        for number in sorted(self._objects):
            identity = {"id": number, "video_id": 1, "category_id": 1, "iscrowd": 0, **size}
            yield separator + "\n" + json.dumps(identity)[:-1]
            for plural, key in (("segmentations", "segmentation"), ("bboxes", "bbox"), ("areas", "area")):
                yield f', "{plural}": '
                found = (frame["objects"].get(str(number)) for frame in self._kept())
                yield from json_array(one and one[key] for one in found)
            yield "}"
            separator = ","
        yield f'{"[]" if separator == "[" else "]"},\n"categories": {json.dumps(_CATEGORIES)}}}\n'


class CVAT(_Annotations):
    """CVAT's XML for videos: a track an object, and in it a polygon for each frame, its parts joined by cuts."""

    suffixes = (".xml",)

    def _object(self, mask: NDArray[np.uint8]) -> dict[str, Any]:
        corners = joined(mask_to_polygons(mask))
        return {"points": ";".join(f"{x:g},{y:g}" for x, y in corners.tolist())}

    def _parts(self) -> Iterator[str]:
        width, height = self._source.size
        name = escape(as_text(self._source.path.name))
        yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta>\n<task>\n'
        yield f"<name>{name}</name>\n<size>{self._count}</size>\n<mode>interpolation</mode>\n"
        yield f"<labels><label><name>{_LABEL}</name><type>polygon</type><attributes></attributes></label></labels>\n"
        yield f"<original_size><width>{width}</width><height>{height}</height></original_size>\n</task>\n</meta>\n"
        for number in sorted(self._objects):
            yield f'<track id="{number}" label="{_LABEL}" source="file">\n'
            before = None
            for frame in self._kept():
                found = frame["objects"].get(str(number))
                if shown := found or before:
                    yield (
                        f'<polygon frame="{frame["index"]}" keyframe="1" outside="{int(not found)}" occluded="0" '
                        f'points="{shown["points"]}" z_order="0"></polygon>\n'
                    )
                before = found
            yield "</track>\n"
        yield "</annotations>\n"


class LabelStudio(_Annotations):
    """Label Studio's tasks: one a frame, with a brush mask for each object, whose label is its number."""

    def _object(self, mask: NDArray[np.uint8]) -> dict[str, Any]:
        return {"format": "rle", "rle": list(encode_brush(mask))}

    def _parts(self) -> Iterator[str]:
        yield from json_array(self._tasks())
        yield "\n"

    def _tasks(self) -> Iterator[dict[str, Any]]:
        width, height = self._source.size
        folder = quote(os.fsencode(self._source.path.stem))
        shown = {
            "type": "brushlabels",
            "from_name": _LABEL,
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
        }
        for frame in self._kept():
            regions = [
                {"id": number, **shown, "value": {**found, "brushlabels": [number]}}
                for number, found in frame["objects"].items()
            ]
            image = f"/data/local-files/?d={folder}/{quote(os.fsencode(frame['name']))}.png"
            yield {"data": {"image": image}, "predictions": [{"model_version": "isomer", "result": regions}]}

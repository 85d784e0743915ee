"""Maps of object numbers as JSON: COCO with run lengths or polygons, and YouTube-VIS."""

from __future__ import annotations

import json
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.files import Stage
from isomer.media.containers.container import Container, as_text
from isomer.media.frame import Frame, Pixels, Source
from isomer.media.labels import object_numbers
from isomer.media.polygons import mask_to_polygons
from isomer.media.rle import encode_rle

_CATEGORIES = [{"id": 1, "name": "object", "supercategory": "object"}]


class _Annotations(Container):
    """Frames' objects go to a spool file line by line; the document is made of it at the end, as a stream."""

    suffixes = (".json",)

    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        self._source = source
        hidden = stage.file(self.path)
        spool = tempfile.TemporaryFile("w+", encoding="utf-8", dir=hidden.parent)  # noqa: SIM115
        self._spool = resources.enter_context(spool)
        self._document = resources.enter_context(hidden.open("w", encoding="utf-8"))
        resources.push(self._finish)
        self._objects: set[int] = set()
        self._count = 0

    def _put(self, frame: Frame, picture: Pixels) -> None:
        numbers = object_numbers(picture)
        self._objects.update(numbers)
        self._count += 1
        objects = {number: self._object(np.asarray(picture == number, np.uint8)) for number in numbers}
        self._spool.write(json.dumps({"name": as_text(frame.name), "objects": objects}) + "\n")

    def _object(self, mask: NDArray[np.uint8]) -> dict[str, Any]:
        return {
            "segmentation": self._segmentation(mask),
            "bbox": list(cv2.boundingRect(mask)),
            "area": int(np.count_nonzero(mask)),
        }

    def _segmentation(self, mask: NDArray[np.uint8]) -> Any:
        return encode_rle(mask)

    def _frames(self) -> Iterator[dict[str, Any]]:
        self._spool.seek(0)
        return map(json.loads, self._spool)

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            information = {"description": as_text(self._source.path.name)}  # without, pycocotools loads no results
            self._document.write(f'{{"info": {json.dumps(information)},\n"licenses": [],\n')
            for part in self._parts():
                self._document.write(part)

    @abstractmethod
    def _parts(self) -> Iterator[str]:
        """Yield the rest of the document."""


class COCO(_Annotations):
    """COCO: one image a frame, one annotation an object and frame, with compressed run lengths.

    `track_id` is the object's number, the same over time.
    """

    def _parts(self) -> Iterator[str]:
        yield '"images": '
        yield from _array(self._images())
        yield ',\n"annotations": '
        yield from _array(self._annotations())
        yield f',\n"categories": {json.dumps(_CATEGORIES)}}}\n'

    def _images(self) -> Iterator[dict[str, Any]]:
        width, height = self._source.size
        for number, frame in enumerate(self._frames(), start=1):
            yield {"id": number, "file_name": f"{frame['name']}.png", "width": width, "height": height}

    def _annotations(self) -> Iterator[dict[str, Any]]:
        number = 0
        for image, frame in enumerate(self._frames(), start=1):
            for track, found in frame["objects"].items():
                number += 1
                identity = {"id": number, "image_id": image, "category_id": 1, "track_id": int(track)}
                yield {**identity, **found, "iscrowd": 0}


class Polygons(COCO):
    """COCO with polygons, which annotation tools can edit; outlines are within a pixel of the mask's."""

    def _segmentation(self, mask: NDArray[np.uint8]) -> Any:
        return [polygon.ravel().tolist() for polygon in mask_to_polygons(mask)]


class YouTubeVIS(_Annotations):
    """YouTube-VIS: one annotation an object, with compressed run lengths, or null, for each frame."""

    def _parts(self) -> Iterator[str]:
        width, height = self._source.size
        size = {"width": width, "height": height}
        yield '"videos": [' + json.dumps({"id": 1, **size, "length": self._count})[:-1] + ', "file_names": '
        yield from _array(f"{frame['name']}.png" for frame in self._frames())
        yield '}],\n"annotations": '
        separator = "["
        for number in sorted(self._objects):
            identity = {"id": number, "video_id": 1, "category_id": 1, "iscrowd": 0, **size}
            yield separator + "\n" + json.dumps(identity)[:-1]
            for plural, key in (("segmentations", "segmentation"), ("bboxes", "bbox"), ("areas", "area")):
                yield f', "{plural}": '
                found = (frame["objects"].get(str(number)) for frame in self._frames())
                yield from _array(one and one[key] for one in found)
            yield "}"
            separator = ","
        yield f'{"[]" if separator == "[" else "]"},\n"categories": {json.dumps(_CATEGORIES)}}}\n'


def _array(items: Iterable[Any]) -> Iterator[str]:
    separator = "["
    for item in items:
        yield f"{separator}\n{json.dumps(item)}"
        separator = ","
    yield "[]" if separator == "[" else "\n]"

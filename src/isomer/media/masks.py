"""Reading finished masks: folders and zips of images, videos, COCO and YouTube-VIS JSON, CVAT's XML."""

from __future__ import annotations

import json
import math
import re
import reprlib
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.errors import InputError, brief
from isomer.media.folder import DEFAULT_FPS, FolderSource, natural_order
from isomer.media.frame import Source
from isomer.media.image import IMAGE_SUFFIXES, MAX_PIXELS, read_bytes
from isomer.media.labels import Labels, object_numbers
from isomer.media.mask_image import VOID, MaskImage, alpha_is_mask, decode_mask
from isomer.media.polygons import polygons_to_mask
from isomer.media.rle import decode_rle, encode_rle
from isomer.media.segmented import Segmented
from isomer.media.video import VideoSource

_MOST_BYTES = 1 << 28  # of an image in a zip
_FARTHEST = 1e100  # a corner of a polygon, in pixels: what is computed of it stays finite
_MOST_FRAMES = 1 << 20  # that a small file may ask for
_LONGEST_NAME = 250  # bytes: a file's is at most 255, and it gets a suffix
_UNFIT = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")  # in a name: control characters, and what is no text


class MaskSource(Source, Protocol):
    """Finished masks as a stream; the frames' images are black, as there are none, labels where the format has them."""

    def __iter__(self) -> Iterator[Segmented]: ...


def open_masks(path: str | Path, fps: Fraction = DEFAULT_FPS, max_pixels: int = MAX_PIXELS) -> MaskSource:
    """Open masks of any of the formats; what the file is decides, not its name, but for `.json`, `.xml` and `.zip`.

    Palette images are maps of objects. Of all others the opacity is the probability, if it is not the same
    everywhere, else the brightness.

    Args:
        path: a folder of images, a zip of images, COCO or YouTube-VIS JSON, CVAT's XML, or a video.
        fps: frame rate of what states none, all but videos.
        max_pixels: the most that a frame may have.

    Raises:
        InputError: the path is missing or none of these, or frames are too large.
    """
    path = Path(path)
    if path.is_dir():
        files = {file.stem: file for file in FolderSource(path, max_pixels=max_pixels).files}
        return _ImageMasks(path, list(files), lambda name: read_bytes(files[name]), fps, max_pixels)
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder; check the path")
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return _open_zip(path, fps, max_pixels)
    if suffix == ".json":
        return _open_json(path, fps, max_pixels)
    if suffix == ".xml":
        return _open_xml(path, fps, max_pixels)
    return _VideoMasks(path, max_pixels)


class _VideoMasks:
    """White on black, or opaque on transparent; the levels are probabilities."""

    def __init__(self, path: Path, max_pixels: int) -> None:
        self._video = VideoSource(path, max_pixels, alpha=True)
        self.path = path
        self.size, self.fps, self.count = self._video.size, self._video.fps, self._video.count
        self.pixel_aspect = self._video.pixel_aspect
        self._in_alpha = self._video.has_alpha and alpha_is_mask(frame.image[..., 3] for frame in self._video)

    def __iter__(self) -> Iterator[Segmented]:
        for frame in self._video:
            levels = frame.image[..., 3] if self._in_alpha else cv2.cvtColor(frame.image, cv2.COLOR_RGBA2GRAY)
            yield _segmented(frame.index, frame.name, frame.time, _probability(levels))


class _ImageMasks:
    """Images by name, whose bytes `read` gives."""

    def __init__(
        self, path: Path, names: Sequence[str], read: Callable[[str], bytes], fps: Fraction, max_pixels: int
    ) -> None:
        self.path = path
        self.fps = fps
        self.count: int | None = len(names)
        self._names = names
        self._read = read
        self._max_pixels = max_pixels
        _, first = next(self._images())
        self.size = (first.levels.shape[1], first.levels.shape[0])

    def __iter__(self) -> Iterator[Segmented]:
        """Yield the masks, then warn of palettes that may mean something else."""
        objects: set[int] = set()
        not_black = 0
        for index, (name, image) in enumerate(self._images()):
            size = (image.levels.shape[1], image.levels.shape[0])
            if size != self.size:
                other, first = (f"{width}x{height}" for width, height in (size, self.size))
                raise InputError(f"{self.path}: {name} is {other}, the first {first}; give masks of one size")
            labels = None
            if image.palette is not None:
                labels = image.levels
                probability = (labels != 0).astype(np.float32)
                objects.update(object_numbers(labels))
                not_black += not image.begins_with_black
            elif image.alpha is not None and self._in_alpha:
                probability = _probability(image.alpha)
            else:
                levels = image.levels
                probability = _probability(levels if levels.ndim == 2 else cv2.cvtColor(levels, cv2.COLOR_BGR2GRAY))
            yield _segmented(index, name, float(index / self.fps), probability, labels)
        if VOID in objects and len(objects) > 1:
            warnings.warn(f"{self.path}: index {VOID} of the palette, often void, is taken for an object", stacklevel=2)
        if not_black:
            warnings.warn(
                f"{self.path}: {not_black} palettes do not begin with black; index 0 is taken for background",
                stacklevel=2,
            )

    @cached_property
    def _in_alpha(self) -> bool:
        return alpha_is_mask(image.alpha for _, image in self._images())

    def _images(self) -> Iterator[tuple[str, MaskImage]]:
        for name in self._names:
            yield name, decode_mask(self._read(name), f"{self.path}: {name}", self._max_pixels)


def _open_zip(path: Path, fps: Fraction, max_pixels: int) -> MaskSource:
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged zip may raise anything
        raise InputError(f"{path}: not a zip that can be read ({brief(error)}); give a whole one") from error
    entries: dict[str, zipfile.ZipInfo] = {}
    try:
        images = [entry for entry in archive.infolist() if _is_image(entry.filename)]
        for entry in sorted(images, key=lambda entry: natural_order(entry.filename)):
            name = _stem(entry.filename)
            if name in entries:
                raise ValueError(f"two images named {name}")
            entries[name] = entry
    except ValueError as error:
        raise InputError(f"{path}: holds {error}; give one sequence of short names") from error
    if not entries:
        raise InputError(f"{path}: no images in this zip; give one of masks")

    def read(name: str) -> bytes:
        entry = entries[name]
        if entry.file_size > _MOST_BYTES:
            raise InputError(f"{path}: {name} is larger than {_MOST_BYTES >> 20} MiB; leave it out")
        try:
            return archive.read(entry)
        except Exception as error:  # a damaged zip may raise anything
            raise InputError(f"{path}: {name} cannot be read ({brief(error)}); zip it again") from error

    return _ImageMasks(path, list(entries), read, fps, max_pixels)


class _DrawnMasks:
    """Objects of each frame, as run lengths or polygons.

    Args:
        path: the file.
        size: (width, height).
        names: of the frames.
        objects: by frame, (number of the object, its segmentation) in the order they are drawn.
        fps: frames a second.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        names: Sequence[str],
        objects: Sequence[Sequence[tuple[int, Any]]],
        fps: Fraction,
    ) -> None:
        self.path, self.size, self.fps = path, size, fps
        self.count: int | None = len(names)
        self._names = names
        self._objects = objects

    def __iter__(self) -> Iterator[Segmented]:
        width, height = self.size
        for index, (name, objects) in enumerate(zip(self._names, self._objects, strict=True)):
            labels = np.zeros((height, width), np.uint8)
            for number, segmentation in objects:
                try:
                    mask = _decode(segmentation, (height, width))
                except (KeyError, OverflowError, TypeError, ValueError) as error:
                    raise InputError(
                        f"{self.path}: object {number} of {name}: {brief(error)}; export it again"
                    ) from error
                labels[mask != 0] = number
            probability = (labels != 0).astype(np.float32)
            yield _segmented(index, name, float(index / self.fps), probability, labels)


def _open_json(path: Path, fps: Fraction, max_pixels: int) -> MaskSource:
    try:
        document = json.loads(read_bytes(path), parse_float=_finite, parse_constant=_finite)
        if not isinstance(document, dict):
            raise TypeError("no object at its top")
        size, names, objects = _youtube_vis(document) if "videos" in document else _coco(document)
        if min(size) < 1:
            raise ValueError(f"frames of {size[0]}x{size[1]} pixels")
        if not names or len(set(names)) < len(names):
            raise ValueError("no frames, or two of one name")
    except KeyError as error:
        raise InputError(f"{path}: not COCO or YouTube-VIS ({brief(error)} is missing); export it again") from error
    except (AttributeError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not COCO or YouTube-VIS JSON ({brief(error)}); export it again") from error
    _check_stated(path, size, max_pixels)
    return _DrawnMasks(path, size, names, objects, fps)


_Document = tuple[tuple[int, int], list[str], list[list[tuple[int, Any]]]]


def _youtube_vis(document: Any) -> _Document:
    if len(document["videos"]) != 1:
        raise ValueError(f"it holds {len(document['videos'])} videos, not one")
    (video,) = document["videos"]
    names = [_stem(name) for name in video["file_names"]]
    objects: list[list[tuple[int, Any]]] = [[] for _ in names]
    tracks = document["annotations"]
    numbers = _numbers(track["id"] for track in tracks)
    for track in tracks:
        for found, segmentation in zip(objects, track["segmentations"], strict=True):
            if segmentation is not None:
                found.append((numbers[track["id"]], segmentation))
    return (int(video["width"]), int(video["height"])), names, objects


def _coco(document: Any) -> _Document:
    """Read COCO, where `track_id` tells objects over time; without, all annotations are of one object."""
    images = sorted(document["images"], key=lambda image: natural_order(image["file_name"]))
    sizes = {(int(image["width"]), int(image["height"])) for image in images}
    if len(sizes) != 1:
        raise ValueError(f"its images have {len(sizes)} sizes, not one")
    objects: dict[Any, list[tuple[int, Any]]] = {image["id"]: [] for image in images}
    numbers = _numbers(_track(annotation) for annotation in document["annotations"])
    for annotation in document["annotations"]:
        objects[annotation["image_id"]].append((numbers[_track(annotation)], annotation["segmentation"]))
    names = [_stem(image["file_name"]) for image in images]
    return sizes.pop(), names, [objects[image["id"]] for image in images]


def _check_stated(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    """Refuse frames that are too large, in a file that is small all the same."""
    if size[0] * size[1] > max_pixels:
        stated = brief(f"{size[0]} x {size[1]}")
        raise InputError(f"{path}: frames of {stated}, which is more than {max_pixels} pixels; make them smaller")


def _open_xml(path: Path, fps: Fraction, max_pixels: int) -> MaskSource:
    """Read "CVAT for video 1.1"; a shape stays until the next one of its track."""
    try:
        root = ElementTree.fromstring(read_bytes(path))
        size = (int(_text(root, "original_size/width")), int(_text(root, "original_size/height")))
        count = int(_text(root, "size"))
        if min(size) < 1 or not 1 <= count <= _MOST_FRAMES:
            raise ValueError(f"{count} frames of {size[0]}x{size[1]} pixels")
        _check_stated(path, size, max_pixels)
        tracks = list(root.iter("track"))
        if not tracks:
            raise ValueError("it has no tracks; export CVAT for video 1.1")
        numbers = _numbers(int(track.attrib["id"]) for track in tracks)
        objects: list[list[tuple[int, Any]]] = [[] for _ in range(count)]
        for track in tracks:
            shapes = sorted(((int(shape.attrib["frame"]), shape) for shape in track), key=itemgetter(0))
            ends = [first for first, _ in shapes[1:]] + [count]
            for (first, shape), end in zip(shapes, ends, strict=True):
                if first < 0:
                    raise ValueError(f"frame {first}")
                if shape.attrib.get("outside") != "1":
                    segmentation = _cvat_shape(shape, size)
                    for found in objects[first:end]:
                        found.append((numbers[int(track.attrib["id"])], segmentation))
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"{path}: not CVAT's XML ({brief(error)} is missing); export it again") from error
    except (ElementTree.ParseError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not CVAT's XML ({brief(error)}); export it again") from error
    return _DrawnMasks(path, size, [f"{index:05d}" for index in range(count)], objects, fps)


def _text(root: ElementTree.Element, name: str) -> str:
    text = root.findtext(f"meta/task/{name}") or root.findtext(f"meta/job/{name}")
    if text is None:
        raise KeyError(name)
    return text


def _cvat_shape(shape: ElementTree.Element, size: tuple[int, int]) -> Any:
    """Return a polygon, box or mask as COCO has it; nothing for what has no inside."""
    said = shape.attrib
    if shape.tag == "polygon":
        corners = [[float(place) for place in corner.split(",")] for corner in said["points"].split(";")]
        if not all(len(corner) == 2 and max(map(abs, corner)) < _FARTHEST for corner in corners):
            raise ValueError("a polygon with a corner that is no point")
        return [[place for corner in corners for place in corner]]
    if shape.tag == "box":
        left, top, right, bottom = (float(said[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
        return [[left, top, right, top, right, bottom, left, bottom]]
    if shape.tag == "mask":  # rows first, background first, within its box
        left, top, across, down = (int(said[name]) for name in ("left", "top", "width", "height"))
        runs = [int(run) for run in said["rle"].split(",")]
        width, height = size
        if min(left, top, across, down, *runs) < 0 or left + across > width or top + down > height:
            raise ValueError("a mask outside the frame")
        if sum(runs) != across * down:
            raise ValueError("a mask whose runs do not fill its box")
        mask = np.zeros((height, width), np.uint8)
        mask[top : top + down, left : left + across] = np.repeat(np.arange(len(runs)) % 2, runs).reshape(down, across)
        return {"size": [height, width], "counts": encode_rle(mask)["counts"]}
    return []


def _track(annotation: Any) -> int:
    attributes = annotation.get("attributes") or {}  # where CVAT puts it
    return int(annotation.get("track_id", attributes.get("track_id", 1)))


def _numbers(tracks: Iterator[int]) -> dict[int, int]:
    """Number the tracks: as they are where they are small enough, else in order."""
    known = sorted(set(tracks))
    if len(known) > 255:
        raise ValueError(f"it holds {len(known)} objects, more than 255")
    if all(1 <= track <= 255 for track in known):
        return {track: track for track in known}
    return {track: number for number, track in enumerate(known, start=1)}


def _decode(segmentation: Any, size: tuple[int, int]) -> NDArray[np.uint8]:
    if isinstance(segmentation, dict):
        if tuple(segmentation["size"]) != size:
            raise ValueError(f"a mask of {segmentation['size']}, not {list(size)}")
        return decode_rle(size, segmentation["counts"])
    polygons = [np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in segmentation]
    if not all((abs(polygon) < _FARTHEST).all() for polygon in polygons):
        raise ValueError("a polygon with a corner at infinity")
    return polygons_to_mask(polygons, size)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number")
    return number


def _is_image(name: str) -> bool:
    place = PurePosixPath(name)
    return place.suffix.lower() in IMAGE_SUFFIXES and not place.name.startswith(".")  # as macOS adds


def _stem(name: str) -> str:
    """The name of a frame, which a file of its own can have."""
    stem = PurePosixPath(name.replace("\\", "/")).stem
    if stem in ("", ".", "..") or _UNFIT.search(stem) or len(stem.encode()) > _LONGEST_NAME:
        raise ValueError(f"an image named {reprlib.repr(name)}")
    return stem


def _segmented(
    index: int, name: str, time: float, probability: NDArray[np.float32], labels: Labels | None = None
) -> Segmented:
    black = np.broadcast_to(np.uint8(0), (*probability.shape, 3))
    return Segmented(index, black, time, name, probability=probability, labels=labels)


def _probability(levels: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(levels / np.float32(np.iinfo(levels.dtype).max), np.float32)

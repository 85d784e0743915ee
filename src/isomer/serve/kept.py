"""What is kept of a job that was segmented, and what clients have corrected of it.

In the folder of a job are

    maps.zip               255 times the probability of each frame, at the size of the network, and its time
    objects-0.50.zip       the objects that are found in them at a threshold, once somebody asks for them
    corrected-0.50-*.zip   what corrections have changed of both

as a project has it (`isomer.segment.objects.project`), so that what comes of them is what the command line gives.
Corrections are applied to the pictures of the preview: how large and how long the video is then does not matter.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isomer.files import atomic_path
from isomer.media import FrameSource, Segmented
from isomer.media.image import decode_gray, encode_image
from isomer.segment.objects.corrections import ChangedMaps, Correction, around, corrected
from isomer.segment.objects.project import KeptPictures, entry_name, found_object
from isomer.segment.objects.tracker import with_steps
from isomer.segment.objects.video_objects import Follower, FrameMaps, Moment, VideoObjects
from isomer.segment.spool import from_levels
from isomer.serve.preview import Preview

Said = Mapping[str, Any]
"""A correction as `isomer.segment.objects.corrections.Correction.of` takes it."""

_LIST = "list.json"


class MapsToKeep:
    """The maps of a job while it is segmented.

    Args:
        archive: is written.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._moments: list[Moment] = []

    def add(self, moment: Moment, levels: NDArray[np.uint8]) -> None:
        """Keep the map of the next frame: 255 times the probability, uint8 [h, w]."""
        self._archive.writestr(entry_name("maps", len(self._moments)), encode_image(levels))
        self._moments.append(moment)

    def end(self) -> None:
        """Keep the times of the frames."""
        self._archive.writestr(_LIST, json.dumps([[moment.index, moment.time] for moment in self._moments]))


@contextmanager
def keep_maps(folder: Path) -> Iterator[MapsToKeep]:
    """Keep the maps of a job, all or none."""
    with _new_archive(folder / "maps.zip") as archive:
        maps = MapsToKeep(archive)
        yield maps
        maps.end()


class Kept:
    """What is kept of a job; a context manager.

    Args:
        folder: of the job.
        source: of its frames.
        threshold: probability in (0, 1) from which on a pixel is of an object.

    Attributes:
        moments: of the frames.
        found: 255 times the probability, uint8 [h, w], one a frame.
        preview: as it was found.
    """

    def __init__(self, folder: Path, source: FrameSource, threshold: float) -> None:
        self._folder, self._source, self._threshold = folder, source, threshold
        self.preview = Preview(folder / "preview.mp4")

    def __enter__(self) -> Kept:
        with ExitStack() as resources:
            archive = resources.enter_context(zipfile.ZipFile(self._folder / "maps.zip"))
            self.moments = [Moment(index, time) for index, time in json.loads(archive.read(_LIST))]
            self.found: FrameMaps = KeptPictures(archive, "maps", len(self.moments))
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.__exit__(kind, error, trace)

    def objects(self) -> VideoObjects:
        """Return the objects; the first call for them at a threshold finds them, for which all frames are read."""
        path = self._folder / f"objects-{self._threshold:.2f}.zip"
        if not path.exists():
            self._find_objects(path)
        archive = self._resources.enter_context(zipfile.ZipFile(path))
        found = [found_object(one) for one in json.loads(archive.read(_LIST))]
        return VideoObjects(found, self.moments, KeptPictures(archive, "objects", len(self.moments)))

    def corrected(self, corrections: Sequence[Said]) -> tuple[ChangedMaps, VideoObjects]:
        """Return maps and objects as corrections make them; those that were asked for before take no time."""
        objects = self.objects()
        maps, labels, found = ChangedMaps(self.found), ChangedMaps(objects.labels), objects.found
        paths = [self._corrected_path(corrections[:end]) for end in range(1, len(corrections) + 1)]
        done = max((number for number, path in enumerate(paths, start=1) if path.exists()), default=0)
        if done:
            with zipfile.ZipFile(paths[done - 1]) as archive:
                maps.others, labels.others = (_read_some(archive, kind) for kind in ("maps", "objects"))
                found = [found_object(one) for one in json.loads(archive.read(_LIST))]
        objects = VideoObjects(found, self.moments, labels)
        if done == len(corrections):
            return maps, objects
        more = [Correction.of(dict(said)) for said in corrections[done:]]
        frames = self.preview.frames(around((one.frame for one in more), len(self.moments)))
        maps, objects = corrected(frames, maps, objects, more, self._threshold)
        with _new_archive(paths[-1]) as archive:
            for kind, changed in (("maps", maps), ("objects", objects.labels)):
                assert isinstance(changed, ChangedMaps)
                for position, levels in changed.others.items():
                    archive.writestr(entry_name(kind, position), encode_image(levels))
            archive.writestr(_LIST, json.dumps([asdict(one) for one in objects.found]))
        return maps, objects

    def _find_objects(self, path: Path) -> None:
        with Follower(self._threshold) as follower:
            maps = zip(self._source, self.found, strict=True)
            for result, step in with_steps(Segmented.of(frame, from_levels(levels)) for frame, levels in maps):
                follower.add(result, result.probability, step)
            objects = follower.objects()
            with _new_archive(path) as archive:
                for position, labels in enumerate(objects.labels):
                    archive.writestr(entry_name("objects", position), encode_image(labels))
                archive.writestr(_LIST, json.dumps([asdict(one) for one in objects.found]))

    def _corrected_path(self, corrections: Sequence[Said]) -> Path:
        return self._folder / f"corrected-{self._threshold:.2f}-{digest_of(corrections)}.zip"


def digest_of(corrections: Sequence[Said]) -> str:
    """Return what tells corrections from others, in a file's name."""
    return hashlib.sha256(json.dumps(corrections, sort_keys=True).encode()).hexdigest()[:16]


def _read_some(archive: zipfile.ZipFile, kind: str) -> dict[int, NDArray[np.uint8]]:
    names = [name for name in archive.namelist() if name.startswith(f"{kind}/")]
    return {int(Path(name).stem): decode_gray(archive.read(name), name) for name in names}


@contextmanager
def _new_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        yield archive

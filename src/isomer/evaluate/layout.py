"""Finding a dataset's sequences and frames in the folder layouts in use."""

from __future__ import annotations

from pathlib import Path

from isomer.errors import InputError
from isomer.media.folder import natural_order

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

Sequences = dict[str, dict[str, Path]]
"""Files by sequence and by the frame's name, both in natural order."""

_ROOTS = (
    "Annotations/480p",
    "Annotations/Full-Resolution",
    "Annotations/1080p",
    "Annotations",
    "Testset",
    "TestSet",
)
# FBMS; DAVSOD; MCL and ViSal; and what copies of them are called.
_ANNOTATION_FOLDERS = ("GroundTruth", "GT_object_level", "ground-truth", "GT", "groundtruth", "gt")
_ANNOTATION_ENDINGS = ("_gt", "_GT")


def find_sequences(folder: str | Path) -> Sequences:
    """Find the maps of a dataset.

    Recognised are `<sequence>/<frame>` (flat), the same below `Annotations/480p` and the like (DAVIS), the
    same below `<sequence>/GroundTruth` (FBMS), `GT_object_level` (DAVSOD) or `ground-truth` (MCL, ViSal), where
    a trailing `_gt` of a frame's name is dropped, and a folder of images, which is one sequence of the folder's
    name.

    Raises:
        InputError: the folder is missing or holds no images in any of these layouts, or two files of a
            sequence are of one frame.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder of sequences")
    root = next((folder / name for name in _ROOTS if (folder / name).is_dir()), folder)
    sequences = {}
    for child in sorted(filter(Path.is_dir, root.iterdir()), key=lambda path: natural_order(path.name)):
        inner = next((child / name for name in _ANNOTATION_FOLDERS if (child / name).is_dir()), child)
        if frames := _frames(inner):
            sequences[child.name] = frames
    if not sequences and (frames := _frames(root)):
        sequences[root.resolve().name] = frames
    if not sequences:
        raise InputError(
            f"{folder}: no images found; give a folder of <sequence>/<frame>.png, of a dataset laid out as "
            "DAVIS or FBMS, or of one sequence's images"
        )
    return sequences


def _frames(folder: Path) -> dict[str, Path]:
    frames: dict[str, Path] = {}
    files = (file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
    for file in sorted(files, key=lambda path: natural_order(path.name)):
        name = file.stem
        for ending in _ANNOTATION_ENDINGS:
            name = name.removesuffix(ending)
        if name in frames:
            raise InputError(f"{file}: the same frame as {frames[name].name}; keep one of them")
        frames[name] = file
    return frames

"""Finding a dataset's sequences and frames in the folder layouts in use."""

from __future__ import annotations

from pathlib import Path

from isomer.errors import InputError
from isomer.evaluate.protocols import DAVIS16_VAL
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


def select_sequences(sequences: Sequences, names: list[str]) -> Sequences:
    """Keep the named sequences, in the dataset's order.

    Args:
        sequences: all of them.
        names: sequence names, `davis16-val`, or text files of one sequence a line (or in the form of DAVIS'
            ImageSets, whose lines start with an image's path).

    Raises:
        InputError: a name is none of these, or a file cannot be read.
    """
    wanted: list[str] = []
    for name in names:
        if name in sequences:
            wanted.append(name)
        elif name == "davis16-val":
            wanted.extend(DAVIS16_VAL)
        elif Path(name).is_file():
            wanted.extend(_listed(Path(name)))
        else:
            raise InputError(f"{name}: neither a sequence of the ground truth nor a file that lists some")
    if missing := [name for name in wanted if name not in sequences]:
        raise InputError(f"ground truth: no annotation of {', '.join(missing)}; check the folder and the list")
    return {name: frames for name, frames in sequences.items() if name in wanted}


def _listed(path: Path) -> list[str]:
    try:
        lines = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a list of sequences ({error}); give a text file") from error
    return list(dict.fromkeys(Path(line).parent.name if "/" in line else line for line in lines))


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

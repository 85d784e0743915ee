"""Datasets as downloaded become one layout: frames, binary masks and optical flow, checked, folder by folder.

A sequence becomes `<output>/<name>/{frames,masks,flow}`, a set of still images `<output>/{images,masks}`. A
sequence appears under its name with all its frames and masks, then gets its flow pair by pair: what was interrupted
goes on with what is missing, and a sequence that is there already, such as a rendered one, can get flow of more steps.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from isomer.data.kitti import write_kitti_flow
from isomer.data.masks import read_levels
from isomer.data.sequences import VideoSequence, flow_folder, is_palette
from isomer.data.stills import image_files
from isomer.errors import InputError
from isomer.files import Stage, atomic_path
from isomer.flow import create_flow
from isomer.media import Frame
from isomer.media.image import IMAGE_SUFFIXES, MAX_PIXELS, read_gray, read_image, write_image
from isomer.processes import process_pool

Item = VideoSequence | tuple[Path, Path]
"""A sequence, or a still image and its mask."""

_NOTE = "estimator.txt"  # beside the flow, the name of what estimated it: two must not mix
_estimator = cache(create_flow)  # one a process: to load it may take longer than a pair does


@dataclass(frozen=True)
class Prepared:
    """What became of a sequence, or of a still image.

    Args:
        name: of it.
        frames, masks, flows: how many were written; 0 where they were there before.
        object_share: of the pixels in its masks.
        odd_masks: how many masks of a sequence have levels that are neither 0 nor 255 nor declared.
        error: why it was left out.
    """

    name: str
    frames: int = 0
    masks: int = 0
    flows: int = 0
    object_share: float = 0.0
    odd_masks: int = 0
    error: str | None = None


def prepare_sequences(
    sequences: Sequence[VideoSequence],
    output: Path,
    flow: str | None,
    steps: Sequence[int] = (1,),
    jobs: int = 1,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Prepared]:
    """Write what is not there yet of some sequences, several at a time, and yield each as it is done.

    Args:
        sequences: what to write.
        output: the folder they go to; it may be where they are.
        flow: the name of what estimates the flow (see `isomer.flow.create_flow`) from each frame with a mask to
            those `steps` on; with None there is no flow.
        steps: in frames.
        jobs: number of processes.
        max_pixels: the most that a frame may have.
    """
    work = partial(_caught, partial(_prepare_sequence, output=output, flow=flow, steps=steps, max_pixels=max_pixels))
    yield from _spread(work, sequences, jobs)


def prepare_stills(
    images: Path, masks: Path, output: Path, jobs: int = 1, max_pixels: int = MAX_PIXELS
) -> Iterator[Prepared]:
    """Copy still images, and write their masks, of the same stems, as 0 and 255; yield each as it is done.

    Raises:
        InputError: a folder has no images, or an image no mask.
    """
    by_stem = {path.stem: path for path in image_files(masks)}
    pairs = []
    for image in image_files(images):
        if image.stem not in by_stem:
            raise InputError(f"{image}: has no mask in {masks}; add it or remove the image")
        pairs.append((image, by_stem[image.stem]))
    yield from _spread(partial(_caught, partial(_prepare_still, output=output, max_pixels=max_pixels)), pairs, jobs)


def read_split(path: Path) -> list[str]:
    """Read the names of a split's sequences, from a file with a name or with paths of frames on each line.

    Raises:
        InputError: the file cannot be read or names nothing.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text; name a split such as ImageSets/2016/train.txt") from error
    first_columns = [Path(line.split()[0]) for line in lines if line.strip()]
    names = dict.fromkeys(p.parent.name if p.suffix else p.name for p in first_columns)
    if not names:
        raise InputError(f"{path}: names no sequence; give another split")
    return list(names)


def _spread(work: Callable[[Item], Prepared], items: Sequence[Item], jobs: int) -> Iterator[Prepared]:
    if jobs == 1:
        yield from map(work, items)
        return
    with process_pool(jobs, "jobs") as pool:
        for future in as_completed([pool.submit(work, item) for item in items]):
            yield future.result()


def _caught(work: Callable[[Item], Prepared], item: Item) -> Prepared:
    """Turn bad input into a result, so that it does not stop the others."""
    try:
        return work(item)
    except InputError as error:
        name = item.name if isinstance(item, VideoSequence) else item[0].stem
        return Prepared(name, error=str(error))


def _prepare_sequence(
    sequence: VideoSequence, output: Path, flow: str | None, steps: Sequence[int], max_pixels: int
) -> Prepared:
    target = output / sequence.name
    try:
        prepared = Prepared(sequence.name) if target.exists() else _write_sequence(sequence, target, max_pixels)
        flows = 0 if flow is None else sum(_write_flows(sequence, target, flow, step, max_pixels) for step in steps)
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written ({error.strerror}); make room or choose another output"
        ) from error
    return replace(prepared, flows=flows)


def _write_sequence(sequence: VideoSequence, target: Path, max_pixels: int) -> Prepared:
    """Write the frames and masks, all or none."""
    with Stage() as stage:
        temporary = stage.folder(target)
        size = read_image(sequence.frames[0], max_pixels).shape[:2]
        for path in sequence.frames:
            _copy_image(path, temporary / "frames", size, max_pixels)
        shares, odd = [], 0
        for path in sequence.frames:
            if path.stem not in sequence.masks:
                continue
            mask = sequence.mask(path, max_pixels)
            if mask.shape != size:
                raise InputError(f"{sequence.masks[path.stem][0]}: not of the size of its frame; replace it")
            write_image(temporary / "masks" / f"{path.stem}.png", mask)
            shares.append(float((mask == 255).mean()))
            odd += any(_is_odd(file, sequence, max_pixels) for file in sequence.masks[path.stem])
    return Prepared(sequence.name, len(sequence.frames), len(shares), 0, float(np.mean(shares)), odd)


def _copy_image(path: Path, folder: Path, size: tuple[int, ...], max_pixels: int) -> None:
    """Copy a file that decodes, or turn it into a PNG where it is of another format."""
    image = read_image(path, max_pixels)
    if image.shape[:2] != size:
        raise InputError(f"{path}: not of the size of the sequence's first frame; replace it")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        folder.mkdir(exist_ok=True)
        shutil.copyfile(path, folder / path.name)
    else:
        write_image(folder / f"{path.stem}.png", image)


def _is_odd(path: Path, sequence: VideoSequence, max_pixels: int) -> bool:
    if is_palette(path):
        return False
    known = {0, 255, *sequence.levels.background, *sequence.levels.unknown}
    return not set(np.unique(read_gray(path, max_pixels)).tolist()) <= known


def _write_flows(sequence: VideoSequence, target: Path, name: str, step: int, max_pixels: int) -> int:
    """Write the flow that is missing of a step, and return of how many pairs."""
    folder, pairs = flow_folder(target, step), sequence.pairs(step)
    if not pairs:
        return 0
    _claim(folder, name)
    missing = [pair for pair in pairs if not (folder / f"{pair[0].stem}.png").exists()]
    estimator = _estimator(name)
    for first, second in missing:
        source, ahead = (
            Frame(index, read_image(path, max_pixels), float(index), path.stem)
            for index, path in ((0, first), (step, second))
        )
        write_kitti_flow(folder / f"{first.stem}.png", estimator(source, ahead))
    return len(missing)


def _claim(folder: Path, name: str) -> None:
    """Note in a folder what estimates its flow.

    Raises:
        InputError: it holds flow of another or unknown origin.
    """
    note = folder / _NOTE
    if note.is_file() and note.read_text(encoding="utf-8").strip() == name:
        return
    if folder.is_dir():
        raise InputError(f"{folder}: holds flow that is not known to be by {name}; remove it or choose another output")
    with atomic_path(note) as temporary:
        temporary.write_text(f"{name}\n", encoding="utf-8")


def _prepare_still(pair: tuple[Path, Path], output: Path, max_pixels: int) -> Prepared:
    image_path, mask_path = pair
    target, mask_target = output / "images" / image_path.name, output / "masks" / f"{image_path.stem}.png"
    if target.exists() and mask_target.exists():
        return Prepared(image_path.stem)
    mask = read_levels(mask_path, max_pixels)
    if read_image(image_path, max_pixels).shape[:2] != mask.shape:
        raise InputError(f"{mask_path}: not of the size of its image; replace it")
    binary = np.where(mask > 127, 255, 0).astype(np.uint8)
    if not binary.any():
        raise InputError(f"{mask_path}: no object in this mask; remove it and its image")
    try:
        write_image(mask_target, binary)
        with atomic_path(target) as temporary:
            shutil.copyfile(image_path, temporary)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror}); make room") from error
    return Prepared(image_path.stem, 1, 1, 0, float((binary == 255).mean()))

"""A contact sheet of the objects of a video: how each looks, its number, and when it is in sight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from isomer.media import Frame
from isomer.media.image import DAVIS_PALETTE
from isomer.media.overlay import overlay_objects
from isomer.segment.objects.video_objects import FoundObject, VideoObjects, enlarged

_WIDTH, _THUMBNAIL, _ROW, _GAP = 960, 240, 144, 12
_MARGIN = 0.15  # of the object's box, shown around it
_PAPER, _INK, _FAINT = (255, 255, 255), (40, 40, 40), (225, 225, 225)


def contact_sheet(objects: VideoObjects, frames: Iterable[Frame]) -> NDArray[np.uint8]:
    """Draw a row for each object: its clearest frame, its number and figures, and a bar of when it is in sight.

    Args:
        objects: of the video.
        frames: of the video; those in which an object is the clearest will do.

    Returns:
        uint8 RGB [H, W, 3].
    """
    drawn = thumbnails(objects, frames)
    last = objects.moments[-1].index if objects.moments else 0
    rows = [_row(one, drawn[one.number], last) for one in objects.found]
    return np.concatenate(rows or [_line("no object was found")])


def thumbnails(objects: VideoObjects, frames: Iterable[Frame]) -> dict[int, NDArray[np.uint8]]:
    """Draw each object as it is in its clearest frame; the arguments are those of `contact_sheet`.

    Returns:
        By number, uint8 RGB [144, 240, 3].
    """
    places = {moment.index: position for position, moment in enumerate(objects.moments)}
    return {
        one.number: _thumbnail(frame, objects, places[frame.index], one)
        for frame in frames
        for one in objects.found
        if one.clearest == frame.index
    }


def _thumbnail(frame: Frame, objects: VideoObjects, position: int, one: FoundObject) -> NDArray[np.uint8]:
    """Cut the object out of its clearest frame, tinted, and fit it into a thumbnail: uint8 [144, 240, 3]."""
    height, width = frame.image.shape[:2]
    x, y, across, down = one.box
    margin = _MARGIN * max(across, down)
    left, right = (int(np.clip(edge, 0, 1) * width) for edge in (x - margin, x + across + margin))
    top, bottom = (int(np.clip(edge, 0, 1) * height) for edge in (y - margin, y + down + margin))
    labels = enlarged(objects.labels[position], np.ones((height, width), bool))
    only = np.where(labels == one.number, labels, 0).astype(np.uint8)
    shown = overlay_objects(frame.image, only)[top : max(bottom, top + 1), left : max(right, left + 1)]
    scale = min(_THUMBNAIL / shown.shape[1], _ROW / shown.shape[0])
    size = max(1, round(shown.shape[1] * scale)), max(1, round(shown.shape[0] * scale))
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    result = np.full((_ROW, _THUMBNAIL, 3), _FAINT, np.uint8)
    top, left = (_ROW - size[1]) // 2, (_THUMBNAIL - size[0]) // 2
    result[top : top + size[1], left : left + size[0]] = small
    return result


def _row(one: FoundObject, thumbnail: NDArray[np.uint8], last: int) -> NDArray[np.uint8]:
    row = np.full((_ROW + 2 * _GAP, _WIDTH, 3), _PAPER, np.uint8)
    row[_GAP : _GAP + _ROW, _GAP : _GAP + _THUMBNAIL] = thumbnail
    left, right = _THUMBNAIL + 3 * _GAP, _WIDTH - 2 * _GAP
    colour = DAVIS_PALETTE[one.number].tolist()
    _write(row, str(one.number), (left, _GAP + 40), 1.3)
    said = f"{one.start:.1f} s to {one.end:.1f} s, {one.frames} frames, {100 * one.area:.1f} % of the frame"
    _write(row, said, (left, _GAP + 76), 0.55)
    top, bottom = _GAP + 100, _GAP + 120
    cv2.rectangle(row, (left, top), (right, bottom), _FAINT, -1)
    for first, final in one.spans:
        start, end = (left + round((right - left) * place / (last + 1)) for place in (first, final + 1))
        cv2.rectangle(row, (start, top), (max(end - 1, start), bottom), colour, -1)
    return row


def _line(text: str) -> NDArray[np.uint8]:
    row = np.full((_ROW, _WIDTH, 3), _PAPER, np.uint8)
    _write(row, text, (_GAP, _ROW // 2), 0.7)
    return row


def _write(image: NDArray[np.uint8], text: str, place: Sequence[int], scale: float) -> None:
    cv2.putText(image, text, (place[0], place[1]), cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, round(2 * scale), cv2.LINE_AA)

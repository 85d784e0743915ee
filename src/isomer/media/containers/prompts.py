"""Prompts for other tools, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from heapq import merge
from typing import Any

from isomer.files import Stage
from isomer.media.containers.container import as_text
from isomer.media.containers.document import Document, json_array
from isomer.media.frame import Frame, Pixels, Source
from isomer.media.labels import object_numbers
from isomer.media.prompts import clearness, prompt_of

_VERSION = 1
_EVERY = 24
"""Frames from one of which all objects are described to the next."""


class Prompts(Document):
    """Each object in the frame where it is clearest, and in every 24th: see `isomer.media.prompts`.

    Pictures are uint8 [H, W, 2], numbers of objects and 255 times the probability. In memory is one prompt an object,
    that of the frame where it is clearest so far.
    """

    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        super()._open(source, stage, resources)
        self._clearest: dict[int, dict[str, Any]] = {}
        self._count = 0

    def _put(self, frame: Frame, picture: Pixels) -> None:
        labels, levels = picture[..., 0], picture[..., 1]
        is_due = self._count % _EVERY == 0
        self._count += 1
        for number in object_numbers(labels):
            clear = clearness(labels, levels, number)
            is_clearest = clear > self._clearest.get(number, {"clearness": -1.0})["clearness"]
            if is_clearest or is_due:
                place = {"object": number, "frame": frame.index, "name": as_text(frame.name), "time": frame.time}
                prompt = {**place, "clearness": clear, **prompt_of(labels, number)}
                if is_clearest:
                    self._clearest[number] = prompt
                if is_due:
                    self._keep(prompt)

    def _prompts(self) -> Iterator[dict[str, Any]]:
        """Yield all in order, each with whether it is its object's clearest."""
        clearest = sorted(self._clearest.values(), key=_order)
        last = None
        for prompt in merge(clearest, self._kept(), key=_order):
            if _order(prompt) != last:  # one may be among both
                yield {**prompt, "is_clearest": prompt["frame"] == self._clearest[prompt["object"]]["frame"]}
            last = _order(prompt)

    def _parts(self) -> Iterator[str]:
        width, height = self._source.size
        video = {"name": as_text(self._source.path.name), "width": width, "height": height, "frames": self._count}
        yield f'{{"format": "isomer-prompts", "version": {_VERSION},\n"video": {json.dumps(video)},\n"prompts": '
        yield from json_array(self._prompts())
        yield "}\n"


def _order(prompt: dict[str, Any]) -> tuple[int, int]:
    return prompt["frame"], prompt["object"]

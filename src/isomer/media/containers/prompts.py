"""Prompts for other tools, as JSON."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from heapq import merge
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isomer.files import Stage
from isomer.media.containers.container import Container, as_text, json_array
from isomer.media.frame import Frame, Source
from isomer.media.labels import object_numbers
from isomer.media.prompts import clearness, prompt_of

_VERSION = 1
_EVERY = 24
"""Frames from one of which all objects are described to the next."""


class Prompts(Container):
    """Each object in the frame where it is clearest, and in every 24th: see `isomer.media.prompts`.

    Pictures are uint8 [H, W, 2], numbers of objects and 255 times the probability. Prompts of every 24th frame go
    to a spool file line by line, those where an object is clearest so far stay in memory.
    """

    suffixes = (".json",)

    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        self._source = source
        hidden = stage.file(self.path)
        spool = tempfile.TemporaryFile("w+", encoding="utf-8", dir=hidden.parent)  # noqa: SIM115
        self._spool = resources.enter_context(spool)
        self._document = resources.enter_context(hidden.open("w", encoding="utf-8"))
        resources.push(self._finish)
        self._clearest: dict[int, dict[str, Any]] = {}
        self._count = 0

    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        labels, levels = picture[..., 0], picture[..., 1]
        is_due = self._count % _EVERY == 0
        self._count += 1
        for number in object_numbers(labels):
            clear = clearness(labels, levels, number)
            is_clearest = clear > self._clearest.get(number, {"clearness": 0.0})["clearness"]
            if is_clearest or is_due:
                place = {"object": number, "frame": frame.index, "name": as_text(frame.name), "time": frame.time}
                prompt = {**place, "clearness": clear, **prompt_of(labels, number)}
                if is_clearest:
                    self._clearest[number] = prompt
                if is_due:
                    self._spool.write(json.dumps(prompt) + "\n")

    def _prompts(self) -> Iterator[dict[str, Any]]:
        """Yield all in order, each with whether it is its object's clearest."""
        self._spool.seek(0)
        clearest = sorted(self._clearest.values(), key=_order)
        last = None
        for prompt in merge(clearest, map(json.loads, self._spool), key=_order):
            if _order(prompt) != last:  # one may be among both
                yield {**prompt, "is_clearest": prompt["frame"] == self._clearest[prompt["object"]]["frame"]}
            last = _order(prompt)

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            width, height = self._source.size
            video = {"name": as_text(self._source.path.name), "width": width, "height": height, "frames": self._count}
            self._document.write(f'{{"format": "isomer-prompts", "version": {_VERSION},\n')
            self._document.write(f'"video": {json.dumps(video)},\n"prompts": ')
            for part in json_array(self._prompts()):
                self._document.write(part)
            self._document.write("}\n")


def _order(prompt: dict[str, Any]) -> tuple[int, int]:
    return prompt["frame"], prompt["object"]

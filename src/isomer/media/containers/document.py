"""Files of text that tell of all frames."""

from __future__ import annotations

import json
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from isomer.files import Stage
from isomer.media.containers.container import Container
from isomer.media.frame import Source


class Document(Container):
    """What is known of frames goes to a spool file line by line; the document is made of it at the end, as a stream."""

    suffixes: tuple[str, ...] = (".json",)

    def _open(self, source: Source, stage: Stage, resources: ExitStack) -> None:
        self._source = source
        hidden = stage.file(self.path)
        spool = tempfile.TemporaryFile("w+", encoding="utf-8", dir=hidden.parent)  # noqa: SIM115
        self._spool = resources.enter_context(spool)
        self._document = resources.enter_context(hidden.open("w", encoding="utf-8"))
        resources.push(self._finish)

    def _keep(self, record: dict[str, Any]) -> None:
        self._spool.write(json.dumps(record) + "\n")

    def _kept(self) -> Iterator[dict[str, Any]]:
        """Yield all records; one such iteration at a time."""
        self._spool.seek(0)
        return map(json.loads, self._spool)

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            for part in self._parts():
                self._document.write(part)

    @abstractmethod
    def _parts(self) -> Iterator[str]:
        """Yield the document."""


def json_array(items: Iterable[Any]) -> Iterator[str]:
    """Write an array of JSON, an item a line, as a stream of its parts."""
    separator = "["
    for item in items:
        yield f"{separator}\n{json.dumps(item)}"
        separator = ","
    yield "[]" if separator == "[" else "\n]"

from __future__ import annotations

from isomer.cli import segment
from isomer.media import OUTPUTS


def test_the_help_names_the_outputs_there_are() -> None:
    assert tuple(OUTPUTS) == segment._OUTPUTS

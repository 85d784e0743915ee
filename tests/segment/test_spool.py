"""What waits on the disk."""

from __future__ import annotations

import numpy as np
import pytest

from isomer.errors import InputError
from isomer.segment.spool import Spool


def test_a_full_folder_of_temporary_files_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        full = open("/dev/full", "wb")  # noqa: PTH123, SIM115
    except OSError:
        pytest.skip("no /dev/full here")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full)
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/small")
    spool = Spool(np.uint8)
    with pytest.raises(InputError, match=r"^/small: no room for temporary files \(No space left on device\)"):
        spool.append(np.zeros((8, 8), np.uint8))

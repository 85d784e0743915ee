from __future__ import annotations

from pathlib import Path

import pytest
from encoded_videos import encode, moving


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Thirty frames of H.264 whose index comes first, as for the web."""
    return encode(tmp_path / "clip.mp4", moving(30), container={"movflags": "+faststart"})

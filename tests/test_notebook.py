"""The notebook runs from top to bottom, on a clip of a few frames."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from isomer.media import open_frames
from isomer.model.zoo import has_weights

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """The first frames of the example, small."""
    path = tmp_path / "clip.mp4"
    source = open_frames(EXAMPLES / "clip.mp4")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 192, 112, "yuv420p"
        for _, frame in zip(range(4), source, strict=False):
            picture = av.VideoFrame.from_ndarray(frame.image, "rgb24")
            container.mux(stream.encode(picture.reformat(192, 112)))
        container.mux(stream.encode())
    return path


@pytest.mark.skipif(not has_weights("isomer_efficientnet_lite0"), reason="no weights come with this package")
def test_quickstart_runs_top_to_bottom(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    monkeypatch.setenv("XDG_CACHE_HOME", str(clip.parent / "cache"))
    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "clear the outputs before committing"

    nbclient.NotebookClient(
        notebook, timeout=300, startup_timeout=300, resources={"metadata": {"path": str(clip.parent)}}
    ).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "4 frames in" in outputs[0]["text"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert len(list((clip.parent / "clip_masks").iterdir())) == 4

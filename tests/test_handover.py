"""The examples of docs/handover.md against the libraries that they are for, with random weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from isomer.data.synthetic.clip import SceneFrames, write_clip
from isomer.data.synthetic.scene import Scene
from isomer.media import OUTPUTS, Segmented, open_frames, open_output
from isomer.media.image import read_gray, read_image

PAGE = Path(__file__).resolve().parents[1] / "docs" / "handover.md"


def example(name: str) -> str:
    (block,) = re.findall(rf"<!-- {name} -->\n```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert sum(bool(line) for line in block.splitlines()) <= 15
    return block


def mask_of(scene: Scene, index: int) -> np.ndarray:
    return scene.render(index)[1] > 0


@pytest.fixture
def folder(tmp_path: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with a clip of six frames and its prompts, from true masks."""
    monkeypatch.chdir(tmp_path)
    write_clip(SceneFrames(scene, 6), Path("clip.mp4"), None)
    source = open_frames("clip.mp4")
    with open_output(OUTPUTS["prompts"], "clip_prompts.json", source) as writer:
        for frame in source:
            writer.write(Segmented.of(frame, mask_of(scene, frame.index).astype(np.float32)))
    return tmp_path


def test_sam_2_takes_prompts(folder: Path, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs PyTorch")
    transformers = pytest.importorskip("transformers", reason="transformers is not among what tests need")
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):  # this where it is not of PyTorch's build
        pytest.skip("no torchvision that goes with this PyTorch")
    side = 128
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=8,
        image_size=[side, side],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 1, 1],
        global_attention_blocks=[3],
        window_size_per_stage=[4, 4, 4, 4],
    )
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[side // 4] * 2, [side // 8] * 2, [side // 16] * 2],
    )
    config = transformers.Sam2VideoConfig(
        vision_config=vision,
        image_size=side,
        memory_attention_num_layers=1,
        memory_attention_rope_feat_sizes=[side // 16] * 2,
        prompt_encoder_config={"image_size": side},
    )
    size = {"height": side, "width": side}
    processor = transformers.Sam2VideoProcessor(
        transformers.Sam2ImageProcessor(size=size), transformers.Sam2VideoVideoProcessor(size=size)
    )
    for name, made in (("Model", transformers.Sam2VideoModel(config).eval()), ("Processor", processor)):
        monkeypatch.setattr(getattr(transformers, f"Sam2Video{name}"), "from_pretrained", lambda _, made=made: made)
    left: dict = {}
    exec(example("sam2"), left)
    prompt, session = left["prompt"], left["session"]
    assert session.obj_ids == [1]
    assert left["masks"].shape == (1, 1, *mask_of(scene, 0).shape)
    given = session.point_inputs_per_obj[0][prompt["frame"]]
    # The corners of the box go before the points; all are at the scale of what the network sees.
    height, width = mask_of(scene, 0).shape
    corners = np.reshape(prompt["box"], (2, 2)).tolist()
    assert given["point_coords"].reshape(-1, 2).numpy() * (width / side, height / side) == pytest.approx(
        np.array([*corners, *prompt["points"]]), abs=0.01
    )
    assert given["point_labels"].flatten().tolist() == [2, 3, *prompt["point_labels"]]


def test_a_matting_tool_gets_the_first_mask_and_the_frames_from_there(folder: Path, scene: Scene) -> None:
    exec(example("first-mask"), {})
    (first,) = (one for one in json.loads((folder / "clip_prompts.json").read_text())["prompts"] if one["is_clearest"])
    assert np.array_equal(read_gray(folder / "first_mask.png"), 255 * mask_of(scene, first["frame"]))
    frames = {frame.name: frame.image for frame in open_frames("clip.mp4") if frame.index >= first["frame"]}
    written = {file.stem: read_image(file) for file in (folder / "matting").iterdir()}
    assert written.keys() == frames.keys()
    assert all(np.array_equal(written[name], image) for name, image in frames.items())


def test_supervision_draws_results(folder: Path) -> None:
    pytest.importorskip("supervision", reason="it brings an OpenCV of its own")
    left: dict = {}
    exec(example("supervision"), left)
    assert left["picture"].shape == left["result"].image.shape

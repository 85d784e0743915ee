"""What a quantised network is calibrated on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from isomer.data.synthetic.clip import SceneFrames, write_clip
from isomer.data.synthetic.scene import Scene
from isomer.errors import InputError
from isomer.media import open_frames
from isomer.model.network import Isomer
from isomer.segment import Segmenter
from isomer.segment.calibration import _evenly, calibration_samples


def test_samples_are_what_the_network_sees_of_each_video(network: Isomer, scene: Scene, tmp_path: Path) -> None:
    videos = [tmp_path / f"{count}.mp4" for count in (2, 5)]
    for video in videos:
        write_clip(SceneFrames(scene, int(video.stem)), video)
    samples = list(calibration_samples(network, videos))
    assert len(samples) == 7
    segmenter = Segmenter(network, backend="torch", device="cpu", key_interval=1)
    expected = [seen for video in videos for seen in segmenter.inputs(open_frames(video))]
    for sample, seen in zip(samples, expected, strict=True):
        assert sample[0].shape == sample[1].shape == (1, 256, 544, 3)
        np.testing.assert_array_equal(sample, seen)


def test_every_video_is_opened_before_any_is_read(network: Isomer, scene: Scene, tmp_path: Path) -> None:
    write_clip(SceneFrames(scene, 2), tmp_path / "good.mp4")
    with pytest.raises(InputError, match=r"missing\.mp4"):
        next(calibration_samples(network, [tmp_path / "good.mp4", tmp_path / "missing.mp4"]))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 16, 17, 100, 1000])
def test_they_are_evenly_spaced(count: int) -> None:
    chosen = _evenly(iter(range(count)), 8)
    assert chosen == list(range(0, count, max(1, chosen[1] if len(chosen) > 1 else 1)))
    assert min(count, 5) <= len(chosen) <= 8

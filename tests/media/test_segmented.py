"""What comes out for a frame, handed to others."""

from __future__ import annotations

import numpy as np
import pytest

from isomer.errors import MissingPackageError
from isomer.media import Segmented


def result(labels: bool) -> Segmented:
    probability = np.zeros((20, 30), np.float32)
    probability[2:6, 3:9] = 0.9
    probability[10:18, 20:25] = 0.6
    numbers = np.zeros(probability.shape, np.uint8)
    numbers[2:6, 3:9] = 5
    numbers[10:18, 20:25] = 2
    black = np.zeros((20, 30, 3), np.uint8)
    return Segmented(0, black, 0.0, "00000", probability=probability, labels=numbers if labels else None)


def test_objects_become_detections_with_their_numbers() -> None:
    supervision = pytest.importorskip("supervision", reason="it brings an OpenCV of its own")
    found = result(labels=True).to_supervision()
    assert isinstance(found, supervision.Detections)
    assert found.tracker_id.tolist() == [2, 5]
    assert found.xyxy.tolist() == [[20, 10, 25, 18], [3, 2, 9, 6]]
    assert np.array_equal(found.area, [40, 24])
    assert found.confidence == pytest.approx([0.6, 0.9])
    assert found.mask is not None
    assert found.mask[1, 2:6, 3:9].all()
    assert len(found[found.tracker_id == 5]) == 1


@pytest.mark.parametrize(("threshold", "box"), [(0.5, [3, 2, 25, 18]), (0.7, [3, 2, 9, 6])])
def test_objects_that_are_not_told_apart_are_one_detection(threshold: float, box: list[int]) -> None:
    pytest.importorskip("supervision", reason="it brings an OpenCV of its own")
    found = result(labels=False).to_supervision(threshold)
    assert (found.xyxy.tolist(), found.tracker_id.tolist()) == ([box], [1])


def test_nothing_is_no_detection() -> None:
    pytest.importorskip("supervision", reason="it brings an OpenCV of its own")
    found = result(labels=False).to_supervision(0.95)
    assert len(found) == 0


def test_without_supervision_the_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isomer.media.segmented.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="needs supervision; run: pip install supervision"):
        result(labels=True).to_supervision()

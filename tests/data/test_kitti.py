from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from isomer.data.kitti import read_kitti_flow, write_kitti_flow
from isomer.errors import InputError

flows = hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(2)),
                   elements=st.floats(-511.5, 511.5, width=32))  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flows)
def test_vectors_come_back_to_half_a_step(tmp_path: Path, flow: np.ndarray) -> None:
    write_kitti_flow(tmp_path / "f.png", flow)
    assert np.abs(read_kitti_flow(tmp_path / "f.png") - flow).max() <= 1 / 128 + 1e-5


def test_the_file_is_that_of_the_kitti_devkit(tmp_path: Path) -> None:
    """The devkit: u = (R - 2^15) / 64, v = (G - 2^15) / 64, valid = B > 0."""
    flow = np.zeros((2, 3, 2), np.float32)
    flow[1, 2] = (3.25, -7.5)
    write_kitti_flow(tmp_path / "f.png", flow)
    blue, green, red = cv2.imread(str(tmp_path / "f.png"), cv2.IMREAD_UNCHANGED)[1, 2].tolist()
    assert ((red - 2**15) / 64, (green - 2**15) / 64, blue) == (3.25, -7.5, 1)


def test_invalid_vectors_are_no_motion(tmp_path: Path) -> None:
    levels = np.full((1, 2, 3), 40000, np.uint16)
    levels[0, 0, 0] = 0
    cv2.imwrite(str(tmp_path / "f.png"), levels)
    flow = read_kitti_flow(tmp_path / "f.png")
    assert flow[0, 0].tolist() == [0, 0]
    assert flow[0, 1].tolist() == [113, 113]


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mask.png"), np.zeros((4, 4), np.uint8))
    for path in (tmp_path / "mask.png", tmp_path / "missing.png"):
        with pytest.raises(InputError, match=path.name):
            read_kitti_flow(path)

from __future__ import annotations

import numpy as np
import pytest

from isomer.segment import appearance


def test_runtimes_agree() -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxruntime")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    one, other = (load()(image) for load in (appearance._in_openvino, appearance._in_onnxruntime))
    assert one.shape == (8, 12, 475)
    np.testing.assert_allclose(one, other, atol=0.02 * np.abs(other).max())

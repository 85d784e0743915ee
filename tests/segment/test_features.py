from __future__ import annotations

import numpy as np
import pytest

from isomer.errors import MissingPackageError
from isomer.segment.features import create_features


def test_runtimes_agree() -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxruntime")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    one, other = create_features("openvino")(image), create_features("onnx")(image)
    assert one.shape == (8, 12, 475)
    np.testing.assert_allclose(one, other, atol=0.02 * np.abs(other).max())


def test_without_a_runtime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isomer.networks.find_spec", lambda name: None)
    monkeypatch.setattr("isomer.errors.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"two passes: needs openvino; .*pip install"):
        create_features()

from __future__ import annotations

import numpy as np

from isomer.segment.kept import KeptMaps


def test_maps_come_back_as_they_were_said_to() -> None:
    random = np.random.default_rng(0)
    maps = [random.random(shape, np.float32) for shape in ((4, 6), (4, 6), (7, 3))]
    kept = KeptMaps()
    said = [kept.add(probability) for probability in maps]
    for one, other, original in zip(kept, said, maps, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, original, atol=0.5001 / 255)

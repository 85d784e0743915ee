from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from isomer.errors import InputError
from isomer.files import sole_writer


def test_one_at_a_time_holds_a_folder(tmp_path: Path) -> None:
    """Also while others give it back: a lock on a file that has been removed holds nothing."""
    inside: list[int] = []

    def enter(number: int) -> int:
        try:
            with sole_writer(tmp_path / "run"):
                inside.append(number)
                assert inside == [number]
                inside.remove(number)
        except InputError:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(enter, range(400))) > 0
    assert list(tmp_path.rglob("*")) == [tmp_path / "run"]


def test_a_folder_made_in_vain_goes_again(tmp_path: Path) -> None:
    with pytest.raises(KeyError), sole_writer(tmp_path / "new" / "run"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []

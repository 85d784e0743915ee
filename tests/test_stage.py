from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from isomer.errors import InputError
from isomer.files import Stage, atomic_path, remove_unfinished

LONG = "x" * 251 + ".mp4"


def tree(folder: Path) -> dict[str, str | None]:
    """Content of all files below, None for folders."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_text() for path in sorted(folder.rglob("*"))
    }


def write_and_fail(folder: Path) -> None:
    with Stage() as stage:
        stage.file(folder / "a.mp4").write_text("new")
        (stage.folder(folder / "masks") / "0.png").write_text("new")
        stage.file(folder / "b" / "c" / "d.mp4")
        raise KeyError


def write_what_cannot_be_placed(folder: Path) -> None:
    """Several outputs, of which the last cannot be put in its place: a folder is in the way by then."""
    with Stage() as stage:
        stage.file(folder / "a.mp4").write_text("new")
        (stage.folder(folder / "more" / "masks") / "0.png").write_text("new")
        masks = stage.folder(folder / "masks")
        for name in ("0.png", "1.png", "9.png"):
            (masks / name).write_text("new")
        stage.remove(folder / "masks" / "7.png")
        (folder / "masks" / "9.png" / "in the way").mkdir(parents=True)


@pytest.fixture(params=[True, False], ids=["links", "no links"])
def links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError

    if not request.param:
        monkeypatch.setattr(os, "link", refuse)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    (tmp_path / "masks").mkdir()
    for name in ("a.mp4", "masks/0.png", "masks/7.png", "masks/notes.txt"):
        (tmp_path / name).write_text("old")
    return tmp_path


@pytest.mark.usefixtures("links")
def test_all_is_put_in_its_place_at_the_end(earlier: Path) -> None:
    with Stage() as stage:
        stage.file(earlier / "a.mp4").write_text("new")
        stage.file(earlier / "b" / "c.gif").write_text("new")
        (stage.folder(earlier / "masks") / "0.png").write_text("new")
        (stage.folder(earlier / "d") / "0.png").write_text("new")
        stage.remove(earlier / "masks" / "7.png")
        assert (earlier / "a.mp4").read_text() == "old"
        assert not (earlier / "d").exists()
    assert tree(earlier) == {
        "a.mp4": "new",
        "b": None,
        "b/c.gif": "new",
        "d": None,
        "d/0.png": "new",
        "masks": None,
        "masks/0.png": "new",
        "masks/notes.txt": "old",
    }


@pytest.mark.usefixtures("links")
def test_what_cannot_be_put_in_its_place_leaves_all_as_it_was(earlier: Path) -> None:
    before = tree(earlier)
    with pytest.raises(InputError, match=r"masks: cannot be written \(Is a directory\); choose another output"):
        write_what_cannot_be_placed(earlier)
    assert tree(earlier) == {**before, "masks/9.png": None, "masks/9.png/in the way": None}


def test_an_error_leaves_all_as_it_was(earlier: Path) -> None:
    before = tree(earlier)
    with pytest.raises(KeyError):
        write_and_fail(earlier)
    assert tree(earlier) == before


def test_a_folder_that_somebody_made_meanwhile_is_filled(tmp_path: Path) -> None:
    with Stage() as stage:
        (stage.folder(tmp_path / "masks") / "0.png").write_text("new")
        (tmp_path / "masks").mkdir()
        (tmp_path / "masks" / "1.png").write_text("theirs")
    assert tree(tmp_path) == {"masks": None, "masks/0.png": "new", "masks/1.png": "theirs"}


def test_a_name_as_long_as_can_be(tmp_path: Path) -> None:
    with atomic_path(tmp_path / LONG) as hidden:
        hidden.write_text("new")
    with Stage() as stage:
        (stage.folder(tmp_path / LONG[:-4]) / LONG).write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [LONG[:-4], LONG]
    with pytest.raises(InputError, match="cannot be written"), atomic_path(tmp_path / f"x{LONG}"):
        pass
    with pytest.raises(InputError, match="cannot be written"), Stage() as stage:
        stage.folder(tmp_path / f"x{LONG}")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    with atomic_path(path) as hidden:
        hidden.write_text("new")
    assert [os.fsencode(found.name) for found in tmp_path.iterdir()] == [b"caf\xe9.mp4"]


def test_a_folder_in_the_place_of_a_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(InputError, match=r"a\.mp4: is a folder"), Stage() as stage:
        stage.file(tmp_path / "a.mp4")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_nothing_in_the_place_of_a_folder_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "masks").symlink_to("gone")
    with pytest.raises(InputError, match="masks: is a link to nothing, not a folder"), Stage() as stage:
        stage.folder(tmp_path / "masks")
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


@pytest.mark.parametrize("name", ["clip.mp4", LONG])
def test_what_a_killed_process_left_goes_and_nothing_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "masks").mkdir()
    stage = Stage()  # never left, as if the process was killed
    ours = [stage.file(tmp_path / name), stage.folder(tmp_path / "masks"), stage.folder(tmp_path / "new")]
    others = [stage.file(tmp_path / f"{name[:-5]}y.mp4"), stage.folder(tmp_path / "masks2")]
    for path in (name, "masks", "new"):
        remove_unfinished(tmp_path / path)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)


ABANDONED = """
import os, sys
from pathlib import Path
from isomer.files import Stage

stage = Stage()
stage.file(Path("clip.mp4"))
stage.folder(Path("masks"))
print("there", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="locks would keep the file from being written")
def test_what_a_killed_process_left_goes_at_the_next_run_of_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ABANDONED]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        hidden = sorted(tmp_path.iterdir())
        assert len(hidden) == 2
        for is_alive in (True, False):
            with Stage() as stage:
                stage.file(tmp_path / "clip.mp4")
                stage.folder(tmp_path / "masks")
                stage.file(tmp_path / "clip2.mp4")
            assert [path.exists() for path in hidden] == [is_alive] * 2
            other.kill()
            other.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "clip2.mp4", "masks"]

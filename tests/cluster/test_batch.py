"""A batch on a real Ray of this machine, and what it is made of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest

from isomer.cli.main import main
from isomer.cluster import Settings, State, segment_batch
from isomer.cluster.inputs import VIDEO_SUFFIXES, Video, find_videos
from isomer.cluster.manifest import Manifest
from isomer.cluster.worker import Failed, Worker
from isomer.errors import ArgumentError, InputError, MissingPackageError
from isomer.files import sole_writer
from isomer.flow import DISFlow
from isomer.media import OUTPUTS
from isomer.segment import segment_video

WriteClip = Callable[[Path, Sequence[float]], Path]


def names(videos: Sequence[Video], folder: Path) -> dict[str, str]:
    return {video.path.relative_to(folder).as_posix(): video.target.relative_to(folder).as_posix() for video in videos}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "in/a.mp4",
        "in/sub/b.MOV",
        "in/sub/c.webm",
        "in/.hidden.mp4",
        "in/notes.md",
        "in/out/a_mask.mp4",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "in" / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "frames" / "0.png"), np.zeros((8, 8, 3), np.uint8))
    return tmp_path


def test_a_folder_is_searched_but_for_its_outputs(tree: Path) -> None:
    assert names(find_videos([tree / "in"], tree / "in" / "out"), tree) == {
        "in/a.mp4": "in/out/a",
        "in/frames": "in/out/frames",
        "in/sub/b.MOV": "in/out/sub/b",
        "in/sub/c.webm": "in/out/sub/c",
    }


def test_links_are_followed_to_each_folder_once(tree: Path) -> None:
    (tree / "elsewhere" / "deep").mkdir(parents=True)
    (tree / "elsewhere" / "deep" / "d.mkv").touch()
    for name, target in {
        "in/all": "../elsewhere",
        "in/also": "../elsewhere/deep",  # is below the first
        "in/again": "sub",  # is searched itself
        "in/results": "out",
        "elsewhere/deep/up": "../../in",
        "in/loop": "loop",
        "in/nowhere": "gone",
        "in/e.mp4": "a.mp4",
    }.items():
        (tree / name).symlink_to(target)
    assert names(find_videos([tree / "in"], tree / "in" / "out"), tree) == {
        "in/a.mp4": "in/out/a",
        "in/e.mp4": "in/out/e",
        "in/frames": "in/out/frames",
        "in/sub/b.MOV": "in/out/sub/b",
        "in/sub/c.webm": "in/out/sub/c",
        "in/all/deep/d.mkv": "in/out/all/deep/d",
    }


def test_outputs_may_go_beside_the_videos(tree: Path) -> None:
    assert names(find_videos([tree / "in"], tree / "in"), tree)["in/sub/b.MOV"] == "in/sub/b"


@pytest.mark.filterwarnings("error")
def test_a_name_like_that_of_an_output_is_a_video_where_there_is_nothing_that_it_is_of(tree: Path) -> None:
    (tree / "in" / "sub" / "d_overlay.mp4").touch()
    assert "in/sub/d_overlay.mp4" in names(find_videos([tree / "in" / "sub"], tree / "out"), tree)


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("of", ["a.mp4", "frames"])
def test_earlier_outputs_beside_their_video_are_left_out(tree: Path, kind: str, of: str) -> None:
    expected = names(find_videos([tree / "in"], tree / "out"), tree)
    path = tree / "in" / (Path(of).stem + OUTPUTS[kind].suffix)
    if OUTPUTS[kind].is_folder:
        path.mkdir()
        cv2.imwrite(str(path / "0.png"), np.zeros((8, 8, 3), np.uint8))
    else:
        path.touch()
    is_taken_for_video = OUTPUTS[kind].is_folder or path.suffix in VIDEO_SUFFIXES
    with pytest.warns(UserWarning, match=f"left out 1 .* {path.name}") if is_taken_for_video else nullcontext():
        assert names(find_videos([tree / "in"], tree / "out"), tree) == expected


@pytest.mark.parametrize("made", ["b_overlay.mp4", "b_masks"])
def test_earlier_outputs_that_a_manifest_lists_are_left_out(tree: Path, made: str) -> None:
    """Those of a batch lie apart from their videos."""
    expected = names(find_videos([tree / "in"], tree / "else"), tree)
    path = tree / "in" / "results" / "sub" / made
    path.parent.mkdir(parents=True)
    if path.suffix:
        path.touch()
    else:
        path.mkdir()
        cv2.imwrite(str(path / "0.png"), np.zeros((8, 8, 3), np.uint8))
    manifest = Manifest(tree / "in" / "results" / "manifest.json", {})
    video = Video(tree / "in" / "sub" / "b.MOV", path)
    manifest.open([video], retry_failed=False)
    manifest.update(video, state=State.done, outputs=[str(path)])
    manifest.save()
    with pytest.warns(UserWarning, match=f"left out 1 .* {made}"):
        assert names(find_videos([tree / "in"], tree / "else"), tree) == expected


def test_a_cover_makes_no_frames_of_a_folder_of_videos(tree: Path) -> None:
    (tree / "in" / "sub" / "cover.jpg").touch()
    assert names(find_videos([tree / "in" / "sub"], tree / "out"), tree) == {
        "in/sub/b.MOV": "out/b",
        "in/sub/c.webm": "out/c",
    }


def test_patterns_and_lists_keep_the_tree_of_what_they_name(tree: Path) -> None:
    (tree / "list.txt").write_text("in/a.mp4\n\nin/sub/gone.mp4\n")
    found = find_videos([tree / "list.txt", str(tree / "in" / "*" / "*.webm")], tree / "out")
    assert names(found, tree) == {
        "in/a.mp4": "out/a",
        "in/sub/gone.mp4": "out/sub/gone",
        "in/sub/c.webm": "out/sub/c",
    }


@pytest.mark.parametrize("bad", ["in/*.avi", "in/none.mp4", "in/empty", "in/empty.txt"])
def test_an_input_without_videos_is_refused(bad: str, tree: Path) -> None:
    (tree / "in" / "empty").mkdir()
    (tree / "in" / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match=Path(bad).stem.replace("*", r"\*")):
        find_videos([str(tree / bad)], tree / "out")


def test_videos_that_would_share_outputs_are_refused(tree: Path) -> None:
    (tree / "in" / "a.mkv").touch()
    with pytest.raises(InputError, match="same outputs"):
        find_videos([tree / "in"], tree / "out")


@pytest.fixture
def manifest(tree: Path) -> tuple[Manifest, Video]:
    video = Video(tree / "in" / "a.mp4", tree / "out" / "a")
    manifest = Manifest(tree / "out" / "manifest.json", {"size": 64})
    assert manifest.open([video], retry_failed=False) == [video]
    manifest.save()
    return manifest, video


@pytest.mark.parametrize(
    ("state", "change", "retry_failed", "is_pending"),
    [
        (State.done, "", False, False),
        (State.done, "output removed", False, True),
        (State.done, "video changed", False, True),
        (State.failed, "", False, False),
        (State.failed, "", True, True),
        (State.failed, "video changed", False, True),
        (State.pending, "", False, True),
    ],
)
def test_manifest_says_what_is_left_to_do(
    state: State,
    change: str,
    retry_failed: bool,
    is_pending: bool,
    manifest: tuple[Manifest, Video],
    tree: Path,
) -> None:
    first, video = manifest
    output = tree / "out" / "a_mask.mp4"
    output.touch()
    first.update(video, state=state, outputs=[str(output)], error="because" if state is State.failed else None)
    first.save()
    if change == "output removed":
        output.unlink()
    elif change == "video changed":
        os.utime(video.path, ns=(1, 1))

    again = Manifest(first.path, {"size": 64})
    assert again.open([video], retry_failed=retry_failed) == ([video] if is_pending else [])
    again.save()
    assert json.loads(first.path.read_text())["videos"][str(video.path)]["state"] == (
        "pending" if is_pending else state.value
    )


@pytest.mark.parametrize(
    "content",
    [
        *("", "{}", "[]", '{"settings": 1, "videos": {}}', '{"settings": {}, "videos": []}'),
        '{"settings": {}, "videos": {"a": {"state": "odd"}}}',
        *(
            json.dumps({"settings": {}, "videos": {"a": {"state": "done", name: value}}})
            for name, value in {"outputs": None, "frames": "1", "seconds": [], "error": 1, "modified": None}.items()
        ),
        json.dumps({"settings": {}, "videos": {"a": {"state": "done", "outputs": [1]}}}),
        json.dumps({"settings": {}, "videos": {"a": {"state": "done", "outputs": ["\0"]}}}),
    ],
)
def test_a_file_that_is_no_manifest_is_kept_and_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match="no manifest"):
        Manifest(tmp_path / "manifest.json", {})
    assert (tmp_path / "manifest.json").read_text() == content


@pytest.mark.parametrize("said", [tuple, list])
def test_what_settings_say_is_the_same_as_json_has_it(said: type) -> None:
    made_with = Settings(outputs=said(["masks"]), keep=said(["1", "largest"]), drop=said(["2"])).made_with()
    assert json.loads(json.dumps(made_with)) == made_with == json.loads(json.dumps(Settings(**made_with).made_with()))


def test_other_settings_are_refused(manifest: tuple[Manifest, Video]) -> None:
    with pytest.raises(InputError, match="size 64, not 96"):
        Manifest(manifest[0].path, {"size": 96})


@pytest.mark.parametrize("videos", ["in", "missing"])
def test_without_ray_the_one_command_is_said_before_all_else(
    videos: str, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("isomer.errors.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="needs ray"):
        segment_batch([tree / videos], tree / "out")
    assert main(["batch", str(tree / videos), "-o", str(tree / "out"), "-q"]) == 2
    said = capsys.readouterr().err
    assert said == 'isomer: isomer batch: needs ray; in Isomer\'s folder, run: pip install ".[cluster]"\n'
    assert not (tree / "out").exists()


def test_bad_input_is_refused_before_ray_starts_and_a_bar_is_drawn(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def starting(*arguments: object) -> None:
        raise AssertionError("Ray was started")

    for name in ("import_ray", "ray_running"):
        monkeypatch.setattr(f"isomer.cluster.batch.{name}", starting)
    (tree / "empty").mkdir()
    other = {"settings": {"outputs": ["overlay"], "model": "another"}, "videos": {}}
    (tree / "made").mkdir()
    (tree / "made" / "manifest.json").write_text(json.dumps(other))
    for videos, out, options, message in (
        ("missing", "out", [], "missing: no such file or folder"),
        ("empty", "out", [], "no videos"),
        ("in", "made", [], "was made with model another"),
        ("in", "out", ["--shard", "9"], "--shard 9: less than 24 frames"),
        ("in", "out", ["--workers", "0"], "--workers 0: less than 1"),
    ):
        assert main(["batch", str(tree / videos), "-o", str(tree / out), *options]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert (error.count("\n"), error.count("\r")) == (1, 0)  # the line, and no bar before it
    assert not (tree / "out").exists()


def workers() -> set[int]:
    """Process numbers of the workers of this test's Ray, which say in their names what they are doing."""
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return {int(line.split()[0]) for line in listed.splitlines() if "ray::Worker.run" in line}


@contextmanager
def one_killed(parts: Path) -> Iterator[list[int]]:
    """Kill one worker once it is at a part of a long video; afterwards its process number is in the list."""
    before = workers()
    killed: list[int] = []
    over = threading.Event()

    def kill_one() -> None:
        while not killed and not over.wait(0.05):
            if parts.exists():
                killed.extend(list(workers() - before)[:1])
        for number in killed:
            os.kill(number, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()


@pytest.mark.skipif(sys.platform != "linux", reason="reads ps")
def test_a_bad_video_and_a_killed_worker_stop_nothing_and_runs_go_on(
    weights: Path, write_clip: WriteClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    short = write_clip(tmp_path / "in" / "short.mp4", [2.0] * 7)
    long = write_clip(tmp_path / "in" / "sub" / "long.mp4", [0.0] * 3 + [0.7] * 60)
    (tmp_path / "in" / "text.mp4").write_text("this is no video\n")
    out, expected = tmp_path / "out", tmp_path / "expected"
    command = ["batch", str(tmp_path / "in"), "-o", str(out), "--output", "masks", "mask"]
    command += ["--model", str(weights), "--size", "64", "--backend", "torch"]
    command += ["--shard", "24", "--workers", "2", "--cpus", "1"]

    with one_killed(out / ".isomer-parts") as killed:
        assert main(command) == 1
    captured = capsys.readouterr()
    assert "2 videos (72 frames) done, 0 done before, 1 failed" in captured.out
    assert captured.err.count("text.mp4: not a video") == 1
    records = json.loads((out / "manifest.json").read_text())["videos"]
    assert len(killed) == 1
    deaths = {Path(name).name: record["deaths"] for name, record in records.items()}
    # The other worker may still be at the short video when the long one's first part begins.
    assert deaths.pop("text.mp4") == 0
    assert sorted(deaths.values()) == [0, 1]
    expected.mkdir()
    for clip in (short, long):
        segment_video(clip, expected, outputs=["masks", "mask"], model=weights, size=64, backend="torch")
    for file in expected.rglob("*.*"):
        place = out / ("sub" if "long" in str(file) else "") / file.relative_to(expected)
        assert place.read_bytes() == file.read_bytes()
    assert [path.name for path in out.rglob(".*")] == []  # nothing unfinished is left

    (out / "sub" / "long_mask.mp4").unlink()
    with one_killed(out / ".isomer-parts") as killed:
        assert main([*command, "--retries", "0"]) == 1
    captured = capsys.readouterr()
    assert len(killed) == 1
    assert "0 videos (0 frames) done, 1 done before, 2 failed" in captured.out
    assert "long.mp4: its worker died" in captured.err
    assert "text.mp4" not in captured.err  # it failed before and is unchanged

    write_clip(tmp_path / "in" / "text.mp4", [2.0] * 3)
    assert main([*command, "--retry-failed"]) == 0
    assert "2 videos (68 frames) done, 1 done before, 0 failed" in capsys.readouterr().out
    assert (out / "sub" / "long_mask.mp4").read_bytes() == (expected / "long_mask.mp4").read_bytes()

    assert main([*command, "--json"]) == 0
    manifest = str(out / "manifest.json")
    assert json.loads(capsys.readouterr().out) == {
        "done": 0, "failed": 0, "skipped": 3, "frames": 0, "manifest": manifest,
    }  # fmt: skip
    assert main([*command, "--key-interval", "3"]) == 2
    assert "was made with key_interval 6, not 3" in capsys.readouterr().err


def test_a_batch_spells_options_as_the_command_does(
    weights: Path, write_clip: WriteClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(tmp_path / "keep=1.mp4", [2.0] * 3)
    words = ["batch", str(clip), "-o", str(tmp_path / "out"), "--keep", "99", "--model", str(weights), "--size", "64"]
    assert main(words) == 1
    assert f"isomer: failed: {clip}: --keep 99: no such object" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error", [ArgumentError("keep", 9, "no such object"), OSError("disk full"), InputError("{}: bad")]
)
def test_a_failure_names_its_video_once(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = Video(tmp_path / "clip.mp4", tmp_path / "clip")

    def fails(*_: object) -> None:
        raise type(error)(*(str(one).format(video.path) for one in error.args))

    monkeypatch.setattr(Worker, "segment", fails)
    result = Worker(Settings()).run("segment", video).result
    assert isinstance(result, Failed)
    assert result.error.startswith(f"{video.path}: ")
    assert result.error.count(str(video.path)) == 1


def test_a_batch_that_cannot_start_leaves_nothing(
    write_clip: WriteClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_: object) -> None:
        raise InputError("Ray cannot be started")

    monkeypatch.setattr("isomer.cluster.batch.require", lambda *_: None)
    monkeypatch.setattr("isomer.cluster.batch.import_ray", lambda _: None)
    monkeypatch.setattr("isomer.cluster.batch.ray_running", refuses)
    clip = write_clip(tmp_path / "clip.mp4", [2.0])
    with pytest.raises(InputError, match="Ray cannot be started"):
        segment_batch([clip], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_batch_at_a_time_writes_to_a_folder(
    write_clip: WriteClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out = write_clip(tmp_path / "clip.mp4", [2.0]), tmp_path / "out"
    with sole_writer(out):
        before = list(out.iterdir())
        assert main(["batch", str(clip), "-o", str(out), "-q"]) == 2
        assert list(out.iterdir()) == before
    said = capsys.readouterr().err
    assert said == f"isomer: {out}: another process writes to it; wait for it, or choose another output\n"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGTERM")
def test_a_batch_that_a_signal_ends_leaves_nothing_half_written(
    weights: Path, write_clip: WriteClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    clip, out = write_clip(tmp_path / "clip.mp4", [0.7] * 600), tmp_path / "out"
    begun = []

    def end() -> None:
        while not begun and not over.wait(0.05):
            begun.extend(out.glob(".clip_*"))
        if begun:
            os.kill(os.getpid(), signal.SIGTERM)

    over = threading.Event()
    ending = threading.Thread(target=end)
    ending.start()
    try:
        command = ["batch", str(clip), "-o", str(out), "--output", "overlay", "masks", "--key-interval", "1"]
        command += ["--model", str(weights), "--size", "64", "--backend", "torch", "--workers", "1", "--cpus", "1"]
        assert main(command) == 128 + signal.SIGTERM
    finally:
        over.set()
        ending.join()
    assert begun
    assert "isomer: ended by SIGTERM" in capsys.readouterr().err.splitlines()  # Ray may speak after it
    assert [path.name for path in out.iterdir()] == ["manifest.json"]


def test_settings_are_refused_before_anything_is_done() -> None:
    with pytest.raises(InputError, match="outputs=hologram: no such output; choose from overlay, mask"):
        Settings(outputs=["overlay", "hologram"])
    with pytest.raises(InputError, match="flow=DISFlow: a batch takes it by its name"):
        Settings(flow=DISFlow())
    with pytest.raises(InputError, match=r"background=nothing\.jpg: neither black, white"):
        Settings(outputs=["composite"], background="nothing.jpg")
    with pytest.raises(InputError, match="background: is in none of the outputs asked for"):
        Settings(background="blur")


def test_a_cluster_that_is_not_there_is_said_at_once(
    write_clip: WriteClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    clip = write_clip(tmp_path / "clip.mp4", [2.0])
    assert main(["batch", str(clip), "-o", str(tmp_path / "out"), "--address", "127.0.0.1:1", "-q"]) == 2
    assert "--address 127.0.0.1:1: Ray cannot be" in capsys.readouterr().err


def test_a_bad_model_is_said_before_any_video(
    write_clip: WriteClip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    clip = write_clip(tmp_path / "clip.mp4", [2.0])
    command = ["batch", str(clip), "-o", str(tmp_path / "out"), "--model", "isomer_mobilenet", "-q"]
    assert main([*command, "--cpus", "1"]) == 2
    assert "isomer_mobilenet: unknown model" in capsys.readouterr().err

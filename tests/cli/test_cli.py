"""The command as a user runs it, on a real encoded video."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
import pytest

from isomer.cli.main import build_parser, main
from isomer.media import DamagedVideoWarning
from isomer.model.checkpoint import save_model
from isomer.model.network import Isomer
from isomer.model.zoo import model_card


class Result(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process, which spares each test the import of torch."""

    def run(*arguments: object, cwd: Path) -> Result:
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Result(code, *capsys.readouterr())

    return run


def write_clip(path: Path, frames: int = 4, size: tuple[int, int] = (96, 64), aspect: str = "1/1") -> None:
    """A textured square that moves over a still texture, H.264."""
    rng = np.random.default_rng(0)
    background = cv2.resize(rng.integers(0, 255, (8, 12, 3), np.uint8), size, interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"aspect": aspect})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for i in range(frames):
            image = background.copy()
            cv2.rectangle(image, (10 + 4 * i, 20), (34 + 4 * i, 44), (250, 40, 40), -1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, a random network, and bad inputs of every kind."""
    folder = tmp_path_factory.mktemp("cli")
    write_clip(folder / "clip.mp4")
    write_clip(folder / "one.mp4", frames=1)
    save_model(Isomer().eval(), folder / "random.safetensors")
    (folder / "text.mp4").write_text("this is no video\n")
    (folder / "broken.safetensors").write_bytes((folder / "random.safetensors").read_bytes()[:5000])
    mixed = folder / "mixed"
    mixed.mkdir()
    for i, side in enumerate((32, 48)):
        cv2.imwrite(str(mixed / f"{i}.png"), np.zeros((side, side, 3), np.uint8))
    (folder / "file").write_text("in the way\n")
    return folder


def test_help_names_every_verb_and_imports_nothing_heavy(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "isomer.cli.main", "--help"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "segment" in result.stdout
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "argparse" in imported
    assert not imported & {"torch", "cv2", "numpy", "av", "tqdm"}


@pytest.mark.parametrize(("name", "code"), [("isomer_efficientnet_lite0", 0), ("isomer_mobilenet_v3", 2)])
def test_the_command_leaves_with_all_that_it_said_and_its_code(name: str, code: int) -> None:
    """It ends its process by itself, into pipes, which are written only when they are full or flushed."""
    command = [sys.executable, "-m", "isomer.cli.main", "models", name]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == code
    assert result.stdout == (model_card(name) if code == 0 else "")
    assert ("unknown model" in result.stderr) == (code == 2)


def test_the_package_itself_is_the_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "isomer", "models", "nope"], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("isomer: nope: unknown model")


@pytest.mark.skipif(os.name == "nt", reason="shells there close no streams")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_disturb_nothing(closed: str, folder: Path) -> None:
    """Nor does what a library prints get into a file that has the number of a closed stream."""
    (folder / "scans").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "scans" / "0.png"), np.full((32, 32), 255, np.uint8))
    command = f"'{sys.executable}' -m isomer.cli.main convert scans -o closed.zip {closed}"
    assert subprocess.run(command, shell=True, cwd=folder, check=False).returncode == 0
    with zipfile.ZipFile(folder / "closed.zip") as archive:
        assert archive.testzip() is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_standard_output_gets_one_line() -> None:
    command = [sys.executable, "-m", "isomer.cli.main", "models"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "isomer: the system: No space left on device; make room, or raise the limit\n"


@pytest.mark.skipif(sys.platform != "linux", reason="has no such limit, or keeps it not")
@pytest.mark.parametrize(("mib", "code"), [(600, 2), (2047, 2), (4096, 0)])
def test_too_few_addresses_are_refused_before_libraries_reserve_them(mib: int, code: int, tmp_path: Path) -> None:
    command = f"ulimit -v {mib * 1024}; '{sys.executable}' -m isomer synth a.mp4 --size 64x48 --frames 2"
    result = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == code
    assert (tmp_path / "a.mp4").exists() == (code == 0)
    said = [line for line in result.stderr.splitlines() if "warning" not in line]
    assert [line.partition(";")[0] for line in said] == [
        f"isomer: ulimit -v: {mib} MiB of addresses, and libraries reserve up to 2048 MiB, which they do not use"
    ] * (code == 2)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small and large masks: as a folder, a zip, a video, JSON, maps and a data set."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, side in (("small", 32), ("large", 64)):
        for place in (f"{name}/masks", f"{name}/maps/s", f"{name}/set/JPEGImages/s", f"{name}/set/Annotations/s"):
            (folder / place).mkdir(parents=True)
            for index in range(3):
                mask = np.zeros((side, side), np.uint8)
                mask[8:20, 8 + index : 20 + index] = 255
                cv2.imwrite(str(folder / place / f"{index}.png"), mask)
        for suffix in (".zip", ".mkv", ".json"):
            assert main(["convert", str(folder / name / "masks"), "-o", str(folder / name / f"m{suffix}"), "-q"]) == 0
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "convert large/masks -o out",
        "convert large/m.zip -o out",
        "convert large/m.mkv -o out",
        "convert large/m.json -o out",
        "convert small/masks -o out.mkv --video small/m.mkv --output composite --background large/masks/0.png",
        "convert small/masks -o out.mkv --video small/m.mkv --output composite --background large/m.mkv",
        "evaluate zvos large/maps small/set/Annotations --protocol all-frames --workers 1",
        "evaluate vsod small/maps large/set/Annotations --workers 1 --protocol isomer",
        "prepare large/set out --flow none",
        "prepare large out --stills masks:masks",
        "predict large/set -o out --backend torch --size 64",
    ],
)
def test_every_verb_that_reads_pictures_has_the_same_limit(command: str, run: Run, pictures: Path) -> None:
    limited = run(*command.split(), "--max-pixels", "1024", cwd=pictures)
    said = limited.err + limited.out
    assert limited.code == (1 if command.startswith("prepare") else 2)  # which leaves out what is no good
    assert "1024 pixels" in said
    assert "large" in said
    assert not list(pictures.glob("out*")) or command.startswith(("prepare", "predict"))


def test_the_limit_of_pixels_can_be_higher_than_it_is_by_itself(run: Run, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / "0.png"), np.zeros((8200, 8200), np.uint8))
    assert run("convert", "masks", "-o", "out", cwd=tmp_path).err.endswith(
        "masks/0.png: an image of 8200 x 8200, which is more than 67108864 pixels; make it smaller\n"
    )
    assert run("convert", "masks", "-o", "out", "--max-pixels", "67240000", cwd=tmp_path).code == 0


def test_names_that_the_terminal_cannot_show_are_said_in_escapes(folder: Path) -> None:
    (folder / "scans").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "scans" / "0.png"), np.full((32, 32), 255, np.uint8))
    command = [sys.executable, "-m", "isomer.cli.main", "convert", "scans", "-o", "日本.zip"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert (result.returncode, result.stdout) == (0, b"1 frames: wrote \\u65e5\\u672c.zip\n")


def test_segment_writes_an_overlay_next_to_the_video_and_says_so(run: Run, folder: Path) -> None:
    result = run("segment", "clip.mp4", "--model", "random.safetensors", cwd=folder)
    assert result.code == 0, result.err
    assert "4 frames" in result.out
    assert "clip_overlay.mp4" in result.out
    with av.open(str(folder / "clip_overlay.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 96, 64)
        assert sum(1 for _ in container.decode(stream)) == 4


def test_segment_writes_several_outputs_into_a_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    result = run(
        "segment", folder / "clip.mp4", "-o", tmp_path, "--output", "masks", "cutout", "--stride", 2,
        "--model", folder / "random.safetensors", cwd=tmp_path,
    )  # fmt: skip
    assert result.code == 0, result.err
    masks = sorted((tmp_path / "clip_masks").iterdir())
    assert [mask.name for mask in masks] == ["00000.png", "00002.png"]
    assert set(np.unique(cv2.imread(str(masks[0]), cv2.IMREAD_UNCHANGED))) <= {0, 255}
    assert (tmp_path / "clip_cutout.webm").stat().st_size > 0


def test_an_anamorphic_video_gets_outputs_of_its_shape(run: Run, folder: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "dv.mp4", frames=3, size=(720, 576), aspect="64/45")
    kinds = ["overlay", "mask", "prores", "cutout"]
    result = run(
        "segment", "dv.mp4", "-o", tmp_path, "--output", *kinds, "--size", 64,
        "--model", folder / "random.safetensors", cwd=tmp_path,
    )  # fmt: skip
    assert result.code == 0, result.err
    found = {}
    for path in tmp_path.glob("dv_*"):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            found[path.name] = (stream.width, stream.height, str(stream.sample_aspect_ratio))
    assert found == {
        "dv_overlay.mp4": (720, 576, "64/45"),
        "dv_mask.mp4": (720, 576, "64/45"),
        "dv_cutout.mov": (720, 576, "64/45"),
        "dv_cutout.webm": (1024, 576, "1"),  # FFmpeg's WebM cannot say it
    }


BAD = {
    "missing": (["missing.mp4"], "missing.mp4: no such file"),
    "text": (["text.mp4"], "text.mp4: not a video"),
    "one frame": (["one.mp4"], "one.mp4: has only one frame"),
    "stride": (["clip.mp4", "--stride", "9"], "clip.mp4: has only one frame at a stride of 9"),
    "mixed sizes": (["mixed"], "mixed"),
    "output in a file": (["clip.mp4", "-o", "file/x.mp4"], "x.mp4: cannot be written"),
    "folder named as a picture": (
        ["clip.mp4", "--output", "masks", "-o", "new.png"],
        "new.png: this kind of output is a",
    ),
    "folder named as a video": (
        ["clip.mp4", "--output", "mask", "gif", "-o", "new.mp4"],
        "new.mp4: several outputs need",
    ),
    "unknown model": (["clip.mp4", "--model", "isomer_mobilnet_v2"], "isomer_swin_tiny"),
    "broken checkpoint": (["clip.mp4", "--model", "broken.safetensors"], "broken.safetensors: not readable"),
    "threshold": (["clip.mp4", "--threshold", "2"], "--threshold"),
    "size": (["clip.mp4", "--size", "1"], "--size"),
    "device": (["clip.mp4", "--device", "abacus"], "--device abacus"),
    "flow": (["clip.mp4", "--flow", "farneback"], "--flow farneback: not dis or raft"),
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing", "-o", "maps"], "missing: no sequences found"),
        (["mixed", "-o", "maps"], "mixed: no sequences found"),
        (["dataset", "-o", "made"], "made: holds maps made with other settings"),
        (["dataset", "-o", "file"], "file: is a file, not a folder"),
        (["dataset", "-o", "maps", "--flow", "farneback"], "--flow farneback: not dis or raft"),
    ],
)
def test_predict_refuses_bad_input_before_it_loads_the_model(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    def loading(*_: object, **__: object) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("isomer.segment.Segmenter", loading)
    (tmp_path / "dataset" / "camel").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "dataset" / "camel" / "0.png"), np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "mixed").mkdir()
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "predictions.json").write_text("{}\n")
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    result = run("predict", *arguments, "--model", folder / "random.safetensors", cwd=tmp_path)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert message in result.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_line_and_exit_code_2_and_writes_nothing(run: Run, folder: Path, case: str) -> None:
    arguments, message = BAD[case]
    if "--model" not in arguments:
        arguments = [*arguments, "--model", "random.safetensors"]
    before = sorted(folder.rglob("*"))
    result = run("segment", *arguments, cwd=folder)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


def test_a_truncated_video_is_processed_as_far_as_it_goes(run: Run, folder: Path, tmp_path: Path) -> None:
    whole = tmp_path / "long.mkv"
    write_clip(whole, frames=60)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    with pytest.warns(DamagedVideoWarning, match=r"cut.mkv: damaged after \d+ frames"):
        result = run("segment", "cut.mkv", "--model", folder / "random.safetensors", "--size", 64, "-q", cwd=tmp_path)
    assert result.code == 0, result.err
    assert (tmp_path / "cut_overlay.mp4").exists()


def test_quiet_says_nothing_and_json_nothing_else(run: Run, folder: Path, tmp_path: Path) -> None:
    command = ["segment", folder / "clip.mp4", "-o", tmp_path / "o.mp4", "--model", folder / "random.safetensors"]
    quiet = run(*command, "--backend", "torch", "-q", cwd=tmp_path)
    assert quiet == (0, "", "")
    said = json.loads(run(*command, "--json", cwd=tmp_path).out)
    assert said == {"outputs": [str(tmp_path / "o.mp4")], "frames": 4, "seconds": said["seconds"]}
    assert said["seconds"] > 0


def test_predict_says_each_sequence_or_all_as_json(run: Run, folder: Path, tmp_path: Path) -> None:
    for name in ("camel", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index in range(2):
            cv2.imwrite(str(tmp_path / "data" / name / f"{index}.png"), np.zeros((32, 32, 3), np.uint8))
    command = ["predict", "data", "-o", "maps", "--model", folder / "random.safetensors", "--size", "64"]
    assert run(*command, cwd=tmp_path).out.splitlines() == [
        "camel: 2 maps written in maps/camel",
        "dog: 2 maps written in maps/dog",
        "4 maps of 2 sequences in maps",
    ]
    said = json.loads(run(*command, "--ahead", "0", "--json", cwd=tmp_path).out)
    assert said["sequences"] == [
        {"name": name, "folder": f"maps/{name}", "frames": 2, "skipped": True} for name in ("camel", "dog")
    ]
    assert run(*command, "-q", cwd=tmp_path).out == ""
    assert "other settings" in run(*command, "--views", "2", cwd=tmp_path).err


@pytest.mark.parametrize(("option", "more"), [([], False), (["-v"], True)])
def test_verbose_tells_more_and_where_an_error_came_from(option: list[str], more: bool, folder: Path) -> None:
    command = [sys.executable, "-m", "isomer.cli.main", "segment", "one.mp4", *option]
    failed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    *lines, last = failed.stderr.splitlines()
    assert last.startswith("isomer: one.mp4: has only one frame")
    assert ("isomer: one.mp4: 96 x 64 pixels, 1 frames, 24 a second" in lines) == more
    assert any("Traceback" in line for line in lines) == more
    assert more or not lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["segmnt", "clip.mp4"], "segmnt: no such verb (did you mean segment?); isomer --help lists them"),
        (["xyz"], "xyz: no such verb; isomer --help lists them"),
        (["segment", "a.mp4", "--sise=64"], "--sise: no such option (did you mean --size?); see isomer segment --help"),
        (["-q", "segment", "a.mp4"], "-q: goes after segment; see isomer segment --help"),
        (["segment", "a.mp4", "b.mp4"], "b.mp4: one argument too many; see isomer segment --help"),
        (["segment"], "the following arguments are required: INPUT; see isomer segment --help"),
        (["segment", "a.mp4", "--size"], "--size: expected one argument; see isomer segment --help"),
        *(
            (
                [*verb.split(), "https://videos.example/a.mp4"],
                f"{name}https://videos.example/a.mp4: is an address, not a file; download what is there and give the "
                f"file{see}",
            )
            for verb, name, see in (
                ("segment", "INPUT: ", "; see isomer segment --help"),
                ("convert", "INPUT: ", "; see isomer convert --help"),
                ("predict -o out", "DATASET: ", "; see isomer predict --help"),
                ("train", "CONFIG: ", "; see isomer train --help"),
                ("batch -o out", "", ""),
            )
        ),
        (
            ["segment", "--output", "masks", "overlay", "clip.mp4"],
            "--output: clip.mp4: no kind of output; put the input before --output; see isomer segment --help",
        ),
    ],
)
def test_what_is_not_understood_gets_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(arguments)
    except SystemExit as leaving:
        code = leaving.code
    assert code == 2
    assert capsys.readouterr().err == f"isomer: {message}\n"


def test_a_misspelt_output_is_answered_by_what_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["segment", "clip.mp4", "--output", "masks", "ovelay"])
    said = capsys.readouterr().err
    assert said.startswith(
        "isomer: --output: ovelay: no such output (did you mean overlay?); choose from overlay, mask"
    )
    assert said.count("\n") == 1


def test_the_command_alone_lists_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("usage: isomer")
    assert "\n    segment " in said.err


@pytest.mark.parametrize(
    "words",
    [
        ["r.yaml", "a=1", "b=2", "--resume", "-q"],
        ["r.yaml", "--resume", "a=1", "b=2", "-q"],
        ["--resume", "r.yaml", "a=1", "-q", "b=2"],
        ["r.yaml", "a=1", "--resume", "-q", "b=2"],
    ],
)
def test_options_and_arguments_go_in_any_order(words: list[str]) -> None:
    arguments = build_parser("train").parse_args(["train", *words])
    assert (arguments.config, arguments.overrides) == (Path("r.yaml"), ["a=1", "b=2"])
    assert (arguments.resume, arguments.quiet, arguments.dry_run) == (True, True, False)


@pytest.mark.parametrize("verb", ["batch", "completion", "export", "prune", "train"])
def test_a_missing_package_is_said_before_missing_arguments(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("isomer.errors.find_spec", lambda name: None)
    assert main([verb]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"isomer: isomer {verb}: needs ")
    assert "pip install" in said
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])


def test_a_shell_completes_verbs_options_and_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="needs the extra completion")
    bash = shutil.which("bash") or pytest.skip("no bash here")
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)

    def completed(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in ("isomer", *words))
        ask = f". ./script; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _shtab_isomer; echo ${{COMPREPLY[@]}}"
        return subprocess.run([bash, "-c", ask], cwd=tmp_path, capture_output=True, text=True).stdout.split()

    assert completed("seg") == ["segment"]
    assert completed("live", "--th") == ["--threshold"]
    assert completed("batch", "--flow", "") == ["dis", "raft"]
    assert completed("segment", "--output", "mas") == ["mask", "masks"]
    (tmp_path / "clip.mp4").touch()
    assert completed("segment", "cl") == ["clip.mp4"]

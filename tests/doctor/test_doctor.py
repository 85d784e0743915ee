"""`isomer doctor` on sound installations, and on damaged ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import isomer
from isomer import machine
from isomer.cli.main import main
from isomer.data.synthetic.clip import SceneFrames
from isomer.data.synthetic.drawn import draw_scene
from isomer.doctor import installation, self_test
from isomer.doctor.finding import State
from isomer.doctor.machine import gpu
from isomer.media import OUTPUTS
from isomer.media.image import read_gray
from isomer.metrics import RegionSimilarity
from isomer.options import BACKENDS
from isomer.segment import segment_video

Capture = pytest.CaptureFixture[str]
Patch = pytest.MonkeyPatch


def report(capsys: Capture) -> dict:
    """What the command says to programs; its exit code must be that of what it says."""
    capsys.readouterr()
    code = main(["doctor", "--json"])
    said = json.loads(capsys.readouterr().out)
    states = {name: found["state"] for name, found in said["findings"].items()}
    assert said["wrong"] == [name for name, state in states.items() if state == "wrong"]
    assert code == (1 if said["wrong"] else 0)
    return said


def test_all_is_well_and_fits_one_screen(capsys: Capture) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith(f"isomer {isomer.__version__}, Python {sys.version.split()[0]}")
    assert lines[-1] == "nothing is wrong"
    text = "\n".join(lines)
    assert f"av {av.__version__}" in text
    assert f"numpy {np.__version__}" in text
    assert f"opencv    {cv2.__version__}" in text


def test_programs_are_told_more(capsys: Capture, cache: Path) -> None:
    said = report(capsys)
    assert said["isomer"] == isomer.__version__
    found = said["findings"]
    assert found["packages"]["details"]["versions"]["numpy"] == np.__version__
    assert {"openvino", "onnx", "torch"} == set(BACKENDS[1:]) <= set(found)
    for name in BACKENDS[1:]:
        if found[name]["state"] == "ok":
            assert found[name]["details"]["similarity"] >= 0.99
            assert found[name]["details"]["difference"] <= 0.004  # of 8-bit integers
    assert found["cache"]["details"]["folder"] == str(cache)
    assert found["cache"]["details"]["bytes"] == sum(f.stat().st_size for f in cache.rglob("*") if f.is_file())
    assert found["limits"]["details"]["open_files"] == machine.open_files()


def test_the_stored_maps_show_what_was_drawn() -> None:
    scene = SceneFrames(draw_scene(np.random.default_rng(0), (256, 144)), 3)
    region = RegionSimilarity()
    for stored, (_, mask) in zip(np.split(read_gray(self_test._MAPS), 3), scene.with_masks(), strict=True):
        region.step(stored, mask)
    assert min(region.values) > 0.9


@pytest.mark.parametrize("user", ["smoothing", "interpolation"])
def test_wrong_lookups_along_the_flow_are_found(capsys: Capture, monkeypatch: Patch, user: str) -> None:
    """Of key frames' neighbours, and of the frames between them."""

    def elsewhere(other: np.ndarray, flow: np.ndarray) -> np.ndarray:
        return np.repeat(other[:1], len(flow), axis=0)

    monkeypatch.setattr(f"isomer.segment.{user}.moved", elsewhere)
    said = report(capsys)
    assert set(said["wrong"]) >= {"openvino"}
    assert "masks are wrong" in said["findings"]["openvino"]["says"]


def test_a_back_end_that_is_not_installed_is_absent_and_says_how_to_get_it(capsys: Capture, monkeypatch: Patch) -> None:
    monkeypatch.setattr("isomer.errors.find_spec", lambda name: None)
    said = report(capsys)
    assert [said["findings"][name]["state"] for name in BACKENDS[1:]] == ["absent"] * 3
    assert said["findings"]["onnx"]["says"] == ('needs onnxruntime; in Isomer\'s folder, run: pip install ".[onnx]"')
    assert said["wrong"] == ["runtime"]  # for nothing runs the network then


@pytest.fixture
def damaged(tmp_path: Path) -> dict[str, str]:
    """An environment whose PyAV lacks a library."""
    (tmp_path / "av.py").write_text("raise ImportError('libavcodec.so.62: cannot open shared object file')\n")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    return os.environ | {"PYTHONPATH": path}


def command(*arguments: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m", "isomer.cli.main"]
    return subprocess.run([*start, *arguments], env=environment, capture_output=True, text=True, check=False)


def test_a_damaged_package_is_a_finding_and_ends_nothing(damaged: dict[str, str]) -> None:
    done = command("doctor", environment=damaged)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert "wrong   packages  ImportError: libavcodec.so.62: cannot open shared object file" in lines
    assert any(line.startswith("ok      opencv") for line in lines)
    assert any(line.startswith("ok      limits") for line in lines)
    assert " wrong: packages, codecs, " in lines[-1]


def test_other_verbs_then_lead_to_the_doctor(damaged: dict[str, str]) -> None:
    done = command("segment", "clip.mp4", environment=damaged)
    assert done.returncode == 2
    assert done.stderr == (
        "isomer: libavcodec.so.62: cannot open shared object file; isomer doctor says what is wrong here\n"
    )


def install(folder: Path, name: str, version: str) -> None:
    """Make a package known as installed below a folder."""
    home = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    home.mkdir()
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_two_opencvs_smell_before_any_work(tmp_path: Path, capsys: Capture, monkeypatch: Patch) -> None:
    here = next(name for name in installation._OPENCVS if installation._version(name))
    other = next(name for name in installation._OPENCVS if not installation._version(name))
    install(tmp_path, other, "4.12.0.88")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(UserWarning, match=r"overwrite each other's files; .*pip install \.; isomer doctor says more"):
        assert main(["segment", "missing.mp4"]) == 2
    found = report(capsys)["findings"]["opencv"]
    assert found["state"] == "wrong"
    assert found["says"].startswith(f"{cv2.__version__}, of {here} {installation._version(here)}: ")
    assert other in found["says"]


@pytest.mark.parametrize("spec", [None, ModuleSpec("cv2", None)], ids=["nothing", "a folder without code"])
def test_what_a_removed_opencv_leaves_is_refused(capsys: Capture, monkeypatch: Patch, spec: ModuleSpec | None) -> None:
    monkeypatch.setattr(installation, "find_spec", lambda name: spec)
    assert main(["segment", "missing.mp4"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("isomer: OpenCV is damaged; run: pip uninstall -y opencv-")
    assert line.endswith("then, in Isomer's folder, run: pip install .")
    assert report(capsys)["wrong"] == ["opencv"]


def test_versions_are_compared_as_pip_does() -> None:
    specifiers = pytest.importorskip("packaging.specifiers", reason="needs packaging")
    for needed in (">=4.10,<6", "<3,>=2.0", ">=2025.0,<2027", ">=8", ""):
        for version in (
            "4.9.0.80",
            "4.10",
            "4.10.0",
            "5.0.0.93",
            "6.0",
            "2.13.0+cpu",
            "1.26.4",
            "3",
            "2026.4.1",
            "2027",
        ):
            assert installation._fits(version, needed) == specifiers.SpecifierSet(needed).contains(version)


def test_versions_out_of_range_are_found(capsys: Capture, monkeypatch: Patch) -> None:
    requirements = ["av>=99,<100", "numpy>=2.0,<3", 'nncf>=3.0,<4; extra == "int8"', "opencv-python-headless>=1,<2"]
    monkeypatch.setattr(metadata, "requires", lambda name: requirements)
    said = report(capsys)
    assert said["wrong"] == ["packages", "opencv"]
    assert (
        f'av is {av.__version__}, not >=99,<100; run: pip install "av>=99,<100"' in said["findings"]["packages"]["says"]
    )
    assert "numpy" not in said["findings"]["packages"]["says"]
    assert 'run: pip install "opencv-python-headless>=1,<2"' in said["findings"]["opencv"]["says"]


def test_missing_codecs_are_named(monkeypatch: Patch) -> None:
    assert installation.codecs().state is State.ok
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libvpx-vp9", "libdav1d", "libaom-av1"})
    found = installation.codecs()
    assert found.state is State.wrong
    assert found.says.startswith("FFmpeg cannot write VP9 and cannot read AV1; run: pip install ")


def test_the_encoders_are_those_of_the_outputs(tmp_path: Path) -> None:
    codecs = {"h264": "H.264", "hevc": "HEVC", "vp9": "VP9", "prores": "ProRes", "webp": "WebP", "gif": "GIF"}
    written = segment_video(self_test._CLIP, tmp_path, outputs=list(OUTPUTS), device="cpu", size=64).outputs
    found = set()
    for path in written:
        if path.suffix not in ("", ".zip", ".json", ".xml"):
            with av.open(str(path)) as container:
                found.add(codecs[container.streams.video[0].codec_context.name])
    assert found | {"AAC", "Opus"} == set(installation._ENCODERS)  # the clip is silent


def test_a_cache_that_cannot_be_written_is_wrong(tmp_path: Path, capsys: Capture, monkeypatch: Patch) -> None:
    (tmp_path / "isomer").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert report(capsys)["wrong"] == ["cache"]


@pytest.fixture
def driver(monkeypatch: Patch) -> None:
    monkeypatch.setattr("isomer.runtime.choice.find_library", lambda name: name)


def test_a_gpu_without_pytorch_is_told(driver: None, monkeypatch: Patch) -> None:
    monkeypatch.setattr("isomer.doctor.machine.find_spec", lambda name: None)
    found = gpu()
    assert found.state is State.absent
    assert found.says == 'a driver is here, but not PyTorch; in Isomer\'s folder, run: pip install ".[torch]"'


@pytest.mark.parametrize(
    ("built_for", "state", "says"),
    [
        (None, State.absent, "is built for processors alone"),
        ("12.8", State.wrong, "cannot use it: The NVIDIA driver on your system is too old (found version 11040)."),
    ],
)
def test_a_gpu_that_pytorch_cannot_use_has_its_reason(
    driver: None, monkeypatch: Patch, built_for: str | None, state: State, says: str
) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch")

    def refuse() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040).\nPlease update it.")

    monkeypatch.setattr("isomer.runtime.pytorch.best_device", lambda: "cpu")
    monkeypatch.setattr(torch.version, "cuda", built_for)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "init", refuse)
    found = gpu()
    assert found.state is state
    assert says in found.says


@pytest.mark.skipif(sys.platform != "linux", reason="sets Linux's limits")
def test_limits_are_those_of_the_process() -> None:
    code = "from isomer import machine; print(machine.open_files(), machine.file_size(), machine.memory())"
    shell = f"ulimit -n 123; ulimit -f 2048; ulimit -v 4000000; exec {sys.executable} -c '{code}'"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["123", str(2048 * 1024), str(4_000_000 * 1024)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's files")
def test_a_container_s_memory_is_its_limit(tmp_path: Path, monkeypatch: Patch) -> None:
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    physical = int(lines["MemTotal"].split()[0]) * 1024
    file = tmp_path / "memory.max"
    monkeypatch.setattr(machine, "_MEMORY_LIMITS", (file,))
    for text, expected in (("max\n", physical), ("1000000\n", 1_000_000)):
        file.write_text(text)
        assert machine.memory() == expected

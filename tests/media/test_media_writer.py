from __future__ import annotations

import os
import sys
import warnings
import zipfile
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from encoded_videos import encode, moving, quadrants
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from isomer.errors import InputError
from isomer.media import (
    OUTPUTS,
    Frame,
    FrameSource,
    Look,
    Segmented,
    find_output,
    open_frames,
    open_output,
    open_outputs,
)
from isomer.media.containers import PNGFolder
from isomer.media.image import read_gray, write_image

VIDEOS = ["overlay", "mask", "cutout", "prores"]
FOLDERS = ["masks", "probabilities", "cutouts", "palette"]


def disc(width: int, height: int) -> NDArray[np.float32]:
    """A soft disc in the middle: probability 1 inside, 0 outside, a ramp of ten pixels between."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x - width / 2, y - height / 2)
    return np.clip((height / 3 - distance) / 10 + 0.5, 0, 1).astype(np.float32)


def write_all(kind: str, path: Path | None, source: FrameSource, threshold: float = 0.5) -> Path:
    path = path or default_path(kind, source)
    with open_output(OUTPUTS[kind], path, source, Look(threshold)) as writer:
        for frame in source:
            writer.write(Segmented.of(frame, disc(*source.size)))
    return path


def default_path(kind: str, source: FrameSource) -> Path:
    return OUTPUTS[kind].default_path(source)


def decode_alpha(path: Path) -> list[NDArray[np.uint8]]:
    """The alpha plane of every frame; FFmpeg's own VP9 decoder leaves it out, libvpx reads it."""
    with av.open(str(path)) as container:
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        frames = [frame for packet in container.demux(video=0) for frame in decoder.decode(packet)]
    planes = [frame.planes[3] for frame in frames]
    return [np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width] for plane in planes]


def test_the_names_of_outputs_come_from_the_input(clip: Path, tmp_path: Path) -> None:
    source = open_frames(clip)
    names = {kind: default_path(kind, source).name for kind in OUTPUTS}
    assert names == {
        "overlay": "clip_overlay.mp4",
        "mask": "clip_mask.mp4",
        "masks": "clip_masks",
        "probabilities": "clip_probabilities",
        "cutout": "clip_cutout.webm",
        "cutouts": "clip_cutouts",
        "prores": "clip_cutout.mov",
        "cutouts16": "clip_cutouts16",
        "tiff": "clip_tiff",
        "exr": "clip_exr",
        "composite": "clip_composite.mp4",
        "composites": "clip_composites",
        "hevc": "clip_composite_hevc.mp4",
        "gif": "clip_preview.gif",
        "webp": "clip_preview.webp",
        "zip": "clip_masks.zip",
        "palette": "clip_palette",
        "coco": "clip_coco.json",
        "youtube-vis": "clip_youtube_vis.json",
        "polygons": "clip_polygons.json",
        "cvat": "clip_cvat.xml",
        "label-studio": "clip_label_studio.json",
        "prompts": "clip_prompts.json",
    }
    (tmp_path / "v1.5").mkdir()
    write_image(tmp_path / "v1.5" / "a.png", quadrants(32, 24))
    assert default_path("overlay", open_frames(tmp_path / "v1.5")) == tmp_path / "v1.5_overlay.mp4"


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("labels", [None, np.eye(24, 32, dtype=np.uint8)])
def test_an_output_that_shows_the_video_says_so(kind: str, labels: NDArray[np.uint8] | None) -> None:
    black, white = (
        OUTPUTS[kind].picture(Segmented.of(Frame(0, image, 0, "0"), disc(32, 24), labels), Look())
        for image in (np.full((24, 32, 3), level, np.uint8) for level in (0, 255))
    )
    assert OUTPUTS[kind].shows_video == (not np.array_equal(black, white))


def test_an_unknown_output_is_refused() -> None:
    with pytest.raises(InputError, match="nothing: no such output; choose from overlay, mask, masks"):
        find_output("nothing")


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_masks(clip: Path, threshold: float) -> None:
    source = open_frames(clip)
    folder = write_all("masks", None, source, threshold)
    assert sorted(file.name for file in folder.iterdir()) == [f"{index:05d}.png" for index in range(30)]
    expected = (disc(96, 64) >= threshold) * 255
    assert np.array_equal(cv2.imread(str(folder / "00007.png"), cv2.IMREAD_UNCHANGED), expected)


def test_probabilities(clip: Path) -> None:
    folder = write_all("probabilities", None, open_frames(clip))
    assert np.array_equal(read_gray(folder / "00029.png"), np.rint(255 * disc(96, 64)))


def test_masks_of_a_folder_carry_the_names_of_its_images(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for name in ("walk_9.png", "walk_10.jpg"):
        write_image(tmp_path / "frames" / name, quadrants(33, 25))
    folder = write_all("masks", tmp_path / "deep" / "masks", open_frames(tmp_path / "frames"))
    assert sorted(file.name for file in folder.iterdir()) == ["walk_10.png", "walk_9.png"]
    assert read_gray(folder / "walk_9.png").shape == (25, 33)


def test_cutouts_are_the_object_on_transparent(clip: Path) -> None:
    source = open_frames(clip)
    folder = write_all("cutouts", None, source)
    image = next(iter(source)).image
    rgba = cv2.cvtColor(cv2.imread(str(folder / "00000.png"), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    alpha, probability = rgba[..., 3], disc(96, 64)
    assert (alpha[probability < 0.25] == 0).all()
    assert (alpha[probability > 0.75] == 255).all()
    assert np.array_equal(alpha >= 127, probability >= 0.5)
    assert len(np.unique(alpha)) > 20
    assert np.array_equal(rgba[..., :3][alpha == 255], image[alpha == 255])
    assert not rgba[0, 0].any()


@pytest.mark.parametrize("size", [(96, 64), (97, 63), (95, 64), (96, 65)])
def test_the_mask_video_reads_back_as_the_mask(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    source = open_frames(encode(tmp_path / "clip.mkv", moving(12, width, height), codec="ffv1", options={}))
    frames = list(open_frames(write_all("mask", None, source)))
    assert frames[0].image.shape == (height + height % 2, width + width % 2, 3)
    assert len(frames) == 12
    for frame in frames:
        found = frame.image[:height, :width, 1] > 127
        assert (found != (disc(width, height) >= 0.5)).mean() < 0.002


def test_the_overlay_tints_the_object_and_dims_the_rest(clip: Path) -> None:
    source = open_frames(clip)
    path = write_all("overlay", None, source)
    original, shown = list(source), list(open_frames(path))
    assert len(shown) == 30
    probability = disc(96, 64)
    for before, after in zip(original, shown, strict=True):
        change = after.image.astype(float) - before.image
        inside, outside = change[probability == 1].mean(axis=0), change[probability == 0]
        assert inside[2] > 20
        assert inside[0] < -20
        assert outside.mean() < -15


@pytest.mark.parametrize("kind", ["overlay", "mask"])
def test_h264_videos_play_in_browsers(clip: Path, kind: str) -> None:
    path = write_all(kind, None, open_frames(clip))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, stream.average_rate) == ("h264", "yuv420p", Fraction(25))
        assert (context.colorspace, context.color_range) == (1, 1)  # BT.709, limited
        assert container.duration == pytest.approx(30 / 25 * av.time_base, rel=0.01)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is all loaded


@pytest.mark.parametrize("size", [(96, 64), (97, 63)])
def test_the_cutout_video_has_alpha_that_browsers_read(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    images = [quadrants(width, height)] * 12
    source = open_frames(encode(tmp_path / "clip.mkv", images, codec="ffv1", options={}))
    path = write_all("cutout", None, source)
    assert b"\x53\xc0\x81\x01" in path.read_bytes()  # Matroska's AlphaMode element, 1
    alphas = decode_alpha(path)
    assert len(alphas) == 12
    probability = disc(width, height)
    for alpha in alphas:
        alpha = alpha[:height, :width].astype(int)
        assert alpha[probability > 0.9].min() > 225
        assert alpha[probability < 0.1].max() < 30
        assert np.abs(alpha - np.clip((probability - 0.5) * 510 + 127.5, 0, 255)).mean() < 4


@pytest.mark.parametrize("aspect", ["64/45", "8/9"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("overlay", "o.mp4"),
        ("overlay", "o.mkv"),
        ("mask", "m.mov"),
        ("prores", "p.mov"),
        ("cutout", "c.webm"),
        ("gif", "g.gif"),
        ("webp", "w.webp"),
    ],
)
def test_a_video_with_pixels_that_are_not_square_keeps_its_shape(
    tmp_path: Path, kind: str, name: str, aspect: str
) -> None:
    options = {"crf": "10", "aspect": aspect}
    source = open_frames(encode(tmp_path / "clip.mp4", [quadrants(180, 144)] * 3, options=options))
    path = write_all(kind, tmp_path / name, source)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        shape = stream.width * (stream.sample_aspect_ratio or 1) / stream.height
        tells = (stream.sample_aspect_ratio or 1) != 1
    assert float(shape) == pytest.approx(180 * Fraction(aspect) / 144, rel=0.01)
    assert tells == (kind in ("overlay", "mask", "prores"))
    if kind == "overlay":
        shown, original = next(iter(open_frames(path))).image, next(iter(source)).image
        assert shown.shape == original.shape


def test_images_are_written_as_they_are_stored(tmp_path: Path) -> None:
    options = {"crf": "10", "aspect": "64/45"}
    source = open_frames(encode(tmp_path / "clip.mp4", [quadrants(180, 144)] * 3, options=options))
    assert read_gray(write_all("masks", None, source) / "00000.png").shape == (144, 180)


@pytest.mark.parametrize("kind", VIDEOS)
def test_videos_keep_the_time_stamps(tmp_path: Path, kind: str) -> None:
    times = [0.0, 0.04, 0.2, 0.21, 1.0, 1.5]
    source = open_frames(encode(tmp_path / "vfr.mp4", moving(6), times=times))
    frames = open_frames(write_all(kind, None, source))
    assert np.allclose([frame.time for frame in frames], times, atol=1e-3)


@pytest.mark.parametrize("kind", [*VIDEOS, "gif", "webp"])
@pytest.mark.parametrize("last", [0.0, 0.05, 2.0])
def test_the_last_picture_stays_as_long_as_in_the_source(clip: Path, kind: str, last: float) -> None:
    """Also where the container leaves out the last frame; where nobody knows, it stays for a mean frame."""
    source = open_frames(clip)
    frames = [replace(frame, duration=last if frame.index == 29 else 0.04) for frame in source]
    path = default_path(kind, source)
    with open_output(OUTPUTS[kind], path, source) as writer:
        for frame in frames:
            writer.write(Segmented.of(frame, disc(96, 64)))
    assert shown_seconds(path) == pytest.approx(29 / 25 + (last or 0.04), abs=0.011)


def shown_seconds(path: Path) -> float:
    if path.suffix in (".gif", ".webp"):
        with Image.open(path) as image:
            return sum(picture.load() and picture.info["duration"] for picture in ImageSequence.Iterator(image)) / 1000
    with av.open(str(path)) as container:
        assert container.duration is not None
        return container.duration / av.time_base


@pytest.mark.parametrize("kind", VIDEOS)
def test_frames_closer_than_the_container_can_say_are_kept(clip: Path, kind: str) -> None:
    source = open_frames(clip)
    image = next(iter(source)).image
    path = default_path(kind, source)
    with open_output(OUTPUTS[kind], path, source) as writer:
        for index in range(5):
            writer.write(Segmented.of(Frame(index, image, index * 1e-6, f"{index:05d}"), disc(96, 64)))
    assert len(list(open_frames(path))) == 5


def test_colours_survive_writing_and_reading(tmp_path: Path) -> None:
    """The cut-out of everything is the video itself."""
    image = quadrants(96, 64)
    source = open_frames(encode(tmp_path / "clip.mkv", [image] * 5, codec="ffv1", options={}))
    path = default_path("cutout", source)
    with open_output(OUTPUTS["cutout"], path, source) as writer:
        for frame in source:
            writer.write(Segmented.of(frame, np.ones((64, 96), np.float32)))
    shown = list(open_frames(path))[3].image
    for y, x in ((16, 24), (16, 72), (48, 24), (48, 72)):
        assert np.abs(shown[y, x].astype(int) - image[y, x]).max() <= 6


def test_writing_is_deterministic(clip: Path, tmp_path: Path) -> None:
    source = open_frames(clip)
    for kind in OUTPUTS:
        first, second = (
            write_all(kind, tmp_path / name / f"out{Path(OUTPUTS[kind].suffix).suffix}", source)
            for name in (f"{kind}1", f"{kind}2")
        )
        for a, b in zip(files(first), files(second), strict=True):
            assert a.read_bytes() == b.read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="keeps the process to one core")
@pytest.mark.parametrize("kind", VIDEOS)
def test_the_bytes_do_not_depend_on_the_number_of_cores(tmp_path: Path, kind: str) -> None:
    source = open_frames(encode(tmp_path / "clip.mp4", moving(12, 320, 256)))
    suffix = Path(OUTPUTS[kind].suffix).suffix
    cores = os.sched_getaffinity(0)
    many = write_all(kind, tmp_path / f"many{suffix}", source)
    os.sched_setaffinity(0, {min(cores)})
    try:
        one = write_all(kind, tmp_path / f"one{suffix}", source)
    finally:
        os.sched_setaffinity(0, cores)
    assert many.read_bytes() == one.read_bytes()


def files(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else [path]


@pytest.mark.parametrize("kind", OUTPUTS)
def test_an_exception_leaves_nothing_behind(clip: Path, kind: str) -> None:
    source = open_frames(clip)

    def write_most() -> None:
        with open_output(OUTPUTS[kind], default_path(kind, source), source) as writer:
            for frame in source:
                writer.write(Segmented.of(frame, disc(96, 64)))
                if frame.index == 20:
                    raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_most()
    assert files(clip.parent) == [clip]


@pytest.mark.parametrize("kind", FOLDERS)
def test_other_files_of_an_existing_folder_stay(clip: Path, kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("holiday.txt", "00003.png", "00099.png"):
        (folder / name).write_text("old")
    with pytest.warns(UserWarning, match=r"out: holds images of others, such as 00003\.png; those .* stay"):
        write_all(kind, folder, open_frames(clip))
    assert (folder / "holiday.txt").read_text() == (folder / "00099.png").read_text() == "old"
    assert read_gray(folder / "00003.png").shape == (64, 96)
    assert len(files(folder)) == 32


@pytest.mark.parametrize("kind", FOLDERS)
@pytest.mark.parametrize("earlier", FOLDERS)
def test_images_of_an_earlier_run_do_not_stay(clip: Path, kind: str, earlier: str, tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for name in ("a", "b", "00001"):
        write_image(tmp_path / "frames" / f"{name}.png", quadrants(32, 24))
    folder = write_all(earlier, tmp_path / "out", open_frames(clip))
    (folder / "notes.txt").write_text("ours")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_all(kind, folder, open_frames(tmp_path / "frames"))
    assert [file.name for file in files(folder)] == ["00001.png", "a.png", "b.png", "notes.txt"]


@pytest.mark.parametrize("kind", FOLDERS)
def test_images_of_an_earlier_run_stay_where_this_one_fails(clip: Path, kind: str, tmp_path: Path) -> None:
    source = open_frames(clip)
    folder = write_all(kind, tmp_path / "out", source)
    before = {file: file.read_bytes() for file in files(folder)}

    def write_one() -> None:
        with open_output(OUTPUTS[kind], folder, source) as writer:
            writer.write(Segmented.of(next(iter(source)), np.zeros((64, 96), np.float32)))
            raise KeyError

    with pytest.raises(KeyError):
        write_one()
    assert {file: file.read_bytes() for file in files(folder)} == before


@pytest.mark.parametrize(("kind", "drawn"), [("overlay", 30), ("gif", 12), ("webp", 12)])
def test_pictures_that_are_left_out_are_not_drawn(clip: Path, kind: str, drawn: int) -> None:
    source = open_frames(clip)
    calls: list[int] = []

    def draw(result: Segmented, look: Look) -> NDArray[np.uint8]:
        calls.append(result.index)
        return result.image

    with open_output(OUTPUTS[kind]._replace(picture=draw), default_path(kind, source), source) as writer:
        for frame in source:
            writer.write(Segmented.of(frame, disc(96, 64)))
    assert len(calls) == drawn


def test_several_runs_fill_a_shared_folder(clip: Path, tmp_path: Path) -> None:
    output = OUTPUTS["masks"]._replace(container=partial(PNGFolder, is_shared=True))
    source = open_frames(clip)
    for start in (0, 10, 20):
        with open_output(output, tmp_path / "out", source) as writer:
            for frame in islice(source, start, start + 10):
                writer.write(Segmented.of(frame, disc(96, 64)))
    assert len(files(tmp_path / "out")) == 30


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_the_outputs_of_a_run_appear_together_or_not_at_all(clip: Path, tmp_path: Path) -> None:
    """Here the masks fit on the disk, the cut-out does not, and the overlay is that of an earlier run."""
    import resource

    source = open_frames(clip)
    overlay = write_all("overlay", tmp_path / "overlay.mp4", source)
    before = overlay.read_bytes()
    paths = {"masks": tmp_path / "masks", "overlay": overlay, "prores": tmp_path / "new" / "cutout.mov"}

    def write_three() -> None:
        with open_outputs([(OUTPUTS[kind], path) for kind, path in paths.items()], source) as writers:
            for frame in source:
                for writer in writers:
                    writer.write(Segmented.of(frame, disc(96, 64)))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * len(before), limits[1]))
    try:
        with pytest.raises(InputError, match=r"cutout\.mov: cannot be written \(File too large\)"):
            write_three()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(tmp_path) == [clip, overlay]
    assert overlay.read_bytes() == before
    write_three()
    assert all(path.exists() for path in paths.values())


def test_videos_and_folders_get_ordinary_permissions(clip: Path) -> None:
    source = open_frames(clip)
    overlay, masks = write_all("overlay", None, source), write_all("masks", None, source)
    umask = os.umask(0)
    os.umask(umask)
    assert overlay.stat().st_mode & 0o777 == 0o666 & ~umask
    assert masks.stat().st_mode & 0o777 == 0o777 & ~umask


def refused(kind: str, path: Path, source: FrameSource) -> str:
    before = files(source.path.parent)
    with pytest.raises(InputError) as error, open_output(OUTPUTS[kind], path, source):
        pass
    assert files(source.path.parent) == before
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize("kind", OUTPUTS)
def test_what_cannot_be_written_is_refused_at_once(clip: Path, kind: str) -> None:
    source = open_frames(clip)
    suffix = Path(OUTPUTS[kind].suffix).suffix
    assert "cannot be written" in refused(kind, clip / f"out{suffix}", source)  # a file as a folder
    if suffix:
        (clip.parent / f"folder{suffix}").mkdir()
        assert "is a folder" in refused(kind, clip.parent / f"folder{suffix}", source)
        assert "not a format" in refused(kind, clip.parent / "out.txt", source)
    else:
        (clip.parent / "file").touch()
        assert "is a file" in refused(kind, clip.parent / "file", source)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_read_only_folder_is_refused_at_once(clip: Path, kind: str) -> None:
    source = open_frames(clip)
    locked = clip.parent / "locked"
    locked.mkdir(mode=0o555)
    assert "cannot be written" in refused(kind, locked / Path(f"out{OUTPUTS[kind].suffix}"), source)


@pytest.mark.parametrize("is_large", [False, True])
def test_no_large_picture_waits_for_a_later_one(clip: Path, is_large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the file or not: pictures that wait in the encoder fill the memory."""
    if is_large:
        monkeypatch.setattr("isomer.media.containers.video._LARGE", 0)
    with av.open(str(write_all("overlay", None, open_frames(clip)))) as container:
        stamps = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert (stamps == sorted(stamps)) == is_large


@pytest.mark.parametrize(("kind", "codec"), [("overlay", "libx264"), ("cutout", "libvpx-vp9"), ("prores", "prores_ks")])
def test_pictures_that_no_encoder_takes_are_refused_at_once(clip: Path, kind: str, codec: str) -> None:
    source = open_frames(clip)
    source.size = (70_000, 16)
    path = default_path(kind, source)
    assert refused(kind, path, source) == f"{path}: {codec} takes no pictures of 70000x16; choose another output"


def test_the_input_is_never_overwritten(clip: Path, tmp_path: Path) -> None:
    assert "is the input" in refused("overlay", clip, open_frames(clip))
    (tmp_path / "frames").mkdir()
    write_image(tmp_path / "frames" / "00000.png", quadrants(32, 24))
    assert "is the input" in refused("masks", tmp_path / "frames", open_frames(tmp_path / "frames"))


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text")
@pytest.mark.parametrize("kind", OUTPUTS)
def test_names_that_are_long_or_no_text(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9" + 230 * b"x")
    folder.mkdir()
    for name in (b"\xe9", b"\xea"):
        write_image(folder / os.fsdecode(name + b".png"), quadrants(32, 24))
    path = write_all(kind, None, open_frames(folder))
    if path.is_dir():
        suffix = {"exr": b".exr", "tiff": b".tiff"}.get(kind, b".png")
        assert [os.fsencode(file.name) for file in files(path)] == [b"\xe9" + suffix, b"\xea" + suffix]
    elif path.suffix == ".zip":
        assert zipfile.ZipFile(path).namelist() == ["%E9.png", "%EA.png"]
    elif kind == "prompts":  # of the first frame
        assert '"name": "%E9"' in path.read_text("ascii")
    elif path.suffix == ".json":
        text = path.read_text("ascii")
        assert text.index("%E9.png") < text.index("%EA.png")
    else:
        assert path.stat().st_size


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_full_disk_is_said_in_one_line_and_leaves_nothing(clip: Path, kind: str) -> None:
    import resource

    source = open_frames(clip)
    noise = np.random.default_rng(0)

    def write_noise() -> None:
        with open_output(OUTPUTS[kind], default_path(kind, source), source) as writer:
            for frame in source:
                writer.write(Segmented.of(frame, noise.random((64, 96), np.float32)))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # the system refuses as if there was no room
    try:
        with pytest.raises(InputError) as error:
            write_noise()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    path = default_path(kind, source)
    assert str(error.value) == f"{path}: cannot be written (File too large); choose another output"
    assert files(clip.parent) == [clip]

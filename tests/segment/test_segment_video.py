from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from isomer.data.synthetic.clip import SceneFrames, write_clip
from isomer.data.synthetic.scene import Scene
from isomer.errors import InputError
from isomer.media import Frame, Segmented, Writer, open_frames
from isomer.media.image import read_gray, read_image, read_palette, write_image
from isomer.segment import Segmenter, segment_video
from isomer.segment.door import TakenFrames


@pytest.fixture
def clip(scene: Scene, tmp_path: Path) -> Path:
    write_clip(SceneFrames(scene, 8, Fraction(25)), tmp_path / "clip.mp4")
    return tmp_path / "clip.mp4"


def segment(clip: Path, weights: Path, *arguments: object, **options: object) -> tuple[Path, ...]:
    settings = {"model": weights, "size": 96, "backend": "torch", "device": "cpu"} | options
    return segment_video(clip, *arguments, **settings).outputs  # type: ignore[arg-type]


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as file:
        return [picture.to_ndarray(format="rgb24") for picture in file.decode(video=0)]


def test_with_nothing_but_a_video_the_overlay_goes_next_to_it(clip: Path, weights: Path) -> None:
    (overlay,) = segment(clip, weights)
    assert overlay == clip.with_name("clip_overlay.mp4")
    found = open_frames(overlay)
    assert (found.size, found.fps, found.count) == ((256, 128), 25, 8)
    assert sorted(path.name for path in clip.parent.iterdir()) == ["clip.mp4", "clip_overlay.mp4"]


def test_masks_are_the_maps_at_the_threshold(clip: Path, weights: Path, tmp_path: Path) -> None:
    (masks,) = segment(clip, weights, tmp_path / "here", outputs=["masks"], threshold=0.3)
    assert masks == tmp_path / "here"
    results = list(Segmenter(weights, size=96, backend="torch", device="cpu")(open_frames(clip)))
    assert sorted(path.stem for path in masks.iterdir()) == [result.name for result in results]
    for result in results:
        expected = np.where(result.probability >= 0.3, 255, 0)
        np.testing.assert_array_equal(read_gray(masks / f"{result.name}.png"), expected)


def test_composites_have_their_background_and_videos_their_sound(weights: Path, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "clip.mp4"), "w") as file:
        video, sound = file.add_stream("libx264", rate=25), file.add_stream("aac", rate=16_000, layout="mono")
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        for level in range(6):
            image = np.full((64, 96, 3), 40 * level, np.uint8)
            file.mux(video.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        samples.sample_rate = 16_000
        for stream, last in ((video, None), (sound, samples), (sound, None)):
            file.mux(stream.encode(last))
    for audio in (True, False):
        composite, stills = segment(
            tmp_path / "clip.mp4",
            weights,
            tmp_path / "out",
            outputs=["composite", "composites"],
            background="#102030",
            threshold=0.999,
            audio=audio,
        )
        with av.open(str(composite)) as file:
            assert len(file.streams.audio) == audio
        assert (read_image(stills / "00003.png") == (0x10, 0x20, 0x30)).all()


def test_several_outputs_at_once_go_into_one_folder(clip: Path, weights: Path, tmp_path: Path) -> None:
    kinds = ["overlay", "mask", "cutout", "masks", "probabilities", "cutouts"]
    outputs = segment(clip, weights, tmp_path / "all", outputs=kinds)
    assert {path.parent for path in outputs} == {tmp_path / "all"}
    for path in outputs:
        if path.is_dir():
            assert len(list(path.iterdir())) == 8
        elif path.suffix in (".mp4", ".mov", ".webm"):
            assert len(pictures(path)) == 8


def test_stride_takes_every_nth_frame_at_its_time(clip: Path, weights: Path, tmp_path: Path) -> None:
    (masks,) = segment(clip, weights, tmp_path / "masks", outputs=["masks"], stride=3)
    assert sorted(path.stem for path in masks.iterdir()) == ["00000", "00003", "00006"]
    (overlay,) = segment(clip, weights, tmp_path / "overlay.mp4", stride=3)
    with av.open(str(overlay)) as file:
        assert [picture.time for picture in file.decode(video=0)] == pytest.approx([0, 0.12, 0.24])


def test_a_frame_that_is_taken_stays_until_the_next(images: list[np.ndarray]) -> None:
    class Source:
        path, size, fps, count = Path("clip.gif"), (256, 128), Fraction(10), 7

        def __iter__(self) -> Iterator[Frame]:
            for index in range(7):
                yield Frame(index, images[index], index / 10, str(index), 0.1 if index < 6 else 2)

    taken = list(TakenFrames(Source(), 3))
    assert [frame.index for frame in taken] == [0, 3, 6]
    assert [frame.duration for frame in taken] == pytest.approx([0.3, 0.3, 2])
    assert [frame.duration for frame in TakenFrames(Source(), 4)] == pytest.approx([0.4, 2.2])


def test_a_folder_of_images_is_a_video(scene: Scene, weights: Path, tmp_path: Path) -> None:
    for index in range(3):
        write_image(tmp_path / "shots" / f"shot{index}.png", scene.render(index)[0])
    (masks,) = segment(tmp_path / "shots", weights, outputs=["masks"])
    assert masks == tmp_path / "shots_masks"
    assert sorted(path.name for path in masks.iterdir()) == ["shot0.png", "shot1.png", "shot2.png"]


def test_the_same_video_gives_the_same_bytes(clip: Path, weights: Path, tmp_path: Path) -> None:
    files = [segment(clip, weights, tmp_path / f"{run}.mp4")[0] for run in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.0}, "threshold=0.0: not between 0 and 1"),
        ({"stride": 0}, "stride=0: less than 1"),
        ({"stride": 8}, "only one frame at a stride of 8"),
        ({"outputs": ["mask", "hologram"]}, "hologram: no such output"),
        ({"outputs": []}, r"outputs=\[\]: not a list of one or more"),
        ({"outputs": "overlay"}, "outputs=overlay: not a list"),
        ({"model": "isomer_resnet"}, "unknown model"),
        ({"size": 1}, "size=1: not between 64 and 4096 pixels$"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_written(
    clip: Path, weights: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        segment(clip, weights, **options)
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


def test_frames_are_not_the_path_of_a_video(images: list[NDArray[np.uint8]]) -> None:
    with pytest.raises(InputError, match=r"^video=list: not a path; isomer\.Segmenter takes frames"):
        segment_video(images)  # type: ignore[arg-type]


def test_one_frame_is_no_video(scene: Scene, weights: Path, tmp_path: Path) -> None:
    write_clip(SceneFrames(scene, 1), tmp_path / "one.mp4")
    with pytest.raises(InputError, match=r"one\.mp4: has only one frame; motion needs at least two"):
        segment(tmp_path / "one.mp4", weights)
    assert [path.name for path in tmp_path.iterdir()] == ["one.mp4"]


def test_a_failure_midway_leaves_neither_files_nor_threads(
    clip: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Writer.write

    def failing(self: Writer, result: Segmented) -> None:
        if result.index == 3:
            raise OSError("disk full")
        write(self, result)

    monkeypatch.setattr(Writer, "write", failing)
    with pytest.raises(OSError, match="disk full") as caught:
        segment(clip, weights, outputs=["overlay", "masks"])
    assert caught.value.__traceback__ is not None  # which holds the frames of the functions, and these the stages
    assert not any(thread.name == "isomer-prefetch" for thread in threading.enumerate())
    assert [path.name for path in clip.parent.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize(("threshold", "is_said"), [(0.5, False), (0.999999, True)])
def test_a_video_in_which_nothing_is_found_is_said(
    clip: Path, weights: Path, threshold: float, is_said: bool, recwarn: pytest.WarningsRecorder
) -> None:
    segment_video(clip, model=weights, size=64, threshold=threshold)
    said = [str(warning.message) for warning in recwarn if "nothing was found in any frame" in str(warning.message)]
    assert len(said) == is_said


def test_objects_are_told_apart_in_the_outputs_that_can_hold_them(clip: Path, weights: Path, tmp_path: Path) -> None:
    kinds = ["palette", "masks", "overlay"]
    numbered, masks, overlay = segment(clip, weights, tmp_path, outputs=kinds, objects=True, threshold=0.3)
    found = 0
    for frame in open_frames(clip):
        labels = read_palette(numbered / f"{frame.name}.png")
        found += np.count_nonzero(labels)
        assert not labels[read_gray(masks / f"{frame.name}.png") == 0].any()
    assert found
    assert len(pictures(overlay)) == 8

"""Writing what was found: masks, probability maps, overlays and cut-outs, as videos or as folders of PNGs."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import ClassVar, NamedTuple

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.files import atomic_path
from isomer.media.frame import Frame, FrameSource
from isomer.media.image import encode_image
from isomer.media.overlay import overlay

# The index first, so that browsers play before all is loaded; no random identifiers, no version of FFmpeg.
_CONTAINER_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}


class Writer(ABC):
    """Takes the frames of `source` in order, each with its probability map, and writes one output.

    A context manager. Leaving it, or `close`, puts the finished output in its place; an exception inside
    leaves nothing of it. The output is opened at once: what cannot be written is known before any work.

    Args:
        path: the video file or the folder of PNGs to write.
        source: where the frames come from: its size and frame rate are the output's.
        threshold: probability in [0, 1] from which on a pixel is of the object.

    Raises:
        InputError: the output cannot be written (also from `write` and `close`), is the input itself, or has
            a suffix that is not of its format.
    """

    def __init__(self, path: str | Path, source: FrameSource, threshold: float = 0.5) -> None:
        self.path = Path(path)
        self.threshold = threshold
        if self.path.resolve() == source.path.resolve():
            raise InputError(f"{self.path}: is the input itself; choose another output")
        self._resources = ExitStack()

    def write(self, frame: Frame, probability: NDArray[np.float32]) -> None:
        """Add one frame with its map, float32 [H, W] in [0, 1]."""
        picture = self._picture(frame.image, probability)
        with self._one_line():
            self._put(frame, picture)

    def close(self) -> None:
        """Finish the output and put it in its place."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._one_line():
            self._resources.__exit__(kind, error, trace)

    @contextmanager
    def _one_line(self) -> Iterator[None]:
        """Say in one line what the system or FFmpeg could not write."""
        try:
            yield
        except (OSError, av.error.FFmpegError) as error:
            reason = error.strerror or error
            raise InputError(f"{self.path}: cannot be written ({reason}); choose another output") from error

    @abstractmethod
    def _picture(self, image: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        """What to write of a frame: uint8 gray [H, W], RGB [H, W, 3] or RGBA [H, W, 4]."""

    @abstractmethod
    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        """Write the picture of a frame."""

    def _mask(self, probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.where(probability >= self.threshold, np.uint8(255), np.uint8(0))

    def _alpha(self, probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Opacity, uint8: 0.5 at the threshold, 0 and 1 from 0.25 below and above: soft edges, no haze."""
        return np.asarray(np.clip((probability - self.threshold) * 510 + 127.5, 0, 255), np.uint8)


class FolderWriter(Writer):
    """One PNG a frame, `<frame.name>.png`, in a folder.

    They are gathered in a hidden folder and moved over at the end; other files of an existing folder stay.
    """

    def __init__(self, path: str | Path, source: FrameSource, threshold: float = 0.5) -> None:
        super().__init__(path, source, threshold)
        with self._one_line():
            self._folder = self._resources.enter_context(_atomic_folder(self.path))

    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        (self._folder / f"{frame.name}.png").write_bytes(encode_image(picture))


class MaskFolderWriter(FolderWriter):
    """Binary masks: gray PNGs, 255 on the object and 0 elsewhere."""

    def _picture(self, image: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        return self._mask(probability)


class ProbabilityFolderWriter(FolderWriter):
    """Probability maps: gray PNGs, round(255 p)."""

    def _picture(self, image: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.asarray(np.rint(probability * 255), np.uint8)


class CutoutFolderWriter(FolderWriter):
    """The object on transparent: RGBA PNGs, straight alpha."""

    def _picture(self, image: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        return _cutout(image, self._alpha(probability))


class VideoWriter(Writer):
    """A video that browsers play, with the time stamps of the source.

    Where the codec stores colour at half the resolution, an odd width or height is made even by repeating the
    last column or row. Colours are BT.709 of limited range, and tagged so.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".mp4", ".mov", ".mkv")
    _codec: ClassVar[str] = "libx264"
    _pixel_format: ClassVar[str] = "yuv420p"
    # x264's macroblock tree was seen to give other bytes from run to run on a busy machine with AVX-512.
    _codec_options: ClassVar[dict[str, str]] = {"preset": "veryfast", "crf": "20", "x264-params": "mbtree=0"}
    _time_base: ClassVar[Fraction] = Fraction(1, 90_000)

    def __init__(self, path: str | Path, source: FrameSource, threshold: float = 0.5) -> None:
        super().__init__(path, source, threshold)
        if self.path.suffix.lower() not in self.suffixes:
            raise InputError(f"{self.path}: not a format for this output; use {' or '.join(self.suffixes)}")
        if self.path.is_dir():
            raise InputError(f"{self.path}: is a folder; choose another output")
        with self._one_line(), ExitStack() as resources:
            temporary = resources.enter_context(atomic_path(self.path))
            self._container = av.open(str(temporary), "w", container_options=_CONTAINER_OPTIONS)
            resources.push(self._finish)
            self._stream = self._add_stream(source)
            self._container.start_encoding()
            self._resources = resources.pop_all()
        self._reformatter = VideoReformatter()
        self._last_pts = -1
        self._frame_duration = round(1 / source.fps / self._time_base)

    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        bottom, right = self._stream.height - picture.shape[0], self._stream.width - picture.shape[1]
        if bottom or right:
            border = ((0, bottom), (0, right), (0, 0))[: picture.ndim]
            picture = np.pad(picture, border, mode="edge")
        pixel_format = "gray" if picture.ndim == 2 else {3: "rgb24", 4: "rgba"}[picture.shape[2]]
        video_frame = self._reformatter.reformat(
            VideoFrame.from_ndarray(picture, pixel_format),
            format=self._pixel_format,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,  # the result of swscale's own threads is not the same every time
        )
        video_frame.pts = self._last_pts = max(self._last_pts + 1, round(frame.time / self._time_base))
        video_frame.time_base = self._time_base
        video_frame.duration = self._frame_duration
        self._container.mux(self._stream.encode(video_frame))

    def _add_stream(self, source: FrameSource) -> VideoStream:
        stream = self._container.add_stream(self._codec, rate=source.fps, options=dict(self._codec_options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = (side + side % 2 for side in source.size)
        stream.pix_fmt = self._pixel_format
        context = stream.codec_context
        context.time_base = self._time_base
        context.thread_type = "AUTO"
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = ColorRange.MPEG
        return stream

    def _finish(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with suppress(OSError, av.error.FFmpegError):
                self._container.close()
            return
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


class MaskVideoWriter(VideoWriter):
    """Binary mask: H.264, white on the object and black elsewhere."""

    def _picture(self, image: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        return self._mask(probability)


class OverlayVideoWriter(VideoWriter):
    """The video with the object tinted and outlined and the rest dimmed: H.264."""

    def _picture(self, image: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        return overlay(image, self._mask(probability))


class CutoutVideoWriter(VideoWriter):
    """The object on transparent: VP9 with alpha in WebM."""

    suffixes = (".webm",)
    _codec = "libvpx-vp9"
    _pixel_format = "yuva420p"
    # libvpx cannot encode alpha together with alternate reference frames.
    _codec_options: ClassVar[dict[str, str]] = {
        "deadline": "realtime",
        "cpu-used": "6",
        "row-mt": "1",
        "crf": "24",
        "b": "0",
        "auto-alt-ref": "0",
    }
    _time_base = Fraction(1, 1000)

    def _picture(self, image: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        return _cutout(image, self._alpha(probability))


class Output(NamedTuple):
    """A kind of output: what writes it, and the suffix that makes its name from the input's."""

    writer: type[Writer]
    suffix: str


OUTPUTS: dict[str, Output] = {
    "overlay": Output(OverlayVideoWriter, "_overlay.mp4"),
    "mask": Output(MaskVideoWriter, "_mask.mp4"),
    "masks": Output(MaskFolderWriter, "_masks"),
    "probabilities": Output(ProbabilityFolderWriter, "_probabilities"),
    "cutout": Output(CutoutVideoWriter, "_cutout.webm"),
    "cutouts": Output(CutoutFolderWriter, "_cutouts"),
}
"""Outputs by name."""


def default_path(kind: str, source: FrameSource) -> Path:
    """Where an output of the kind goes unless told: beside the input, `clip.mp4` giving `clip_overlay.mp4`.

    Raises:
        InputError: there is no such kind.
    """
    path = source.path
    if path.name in ("", ".."):
        path = path.resolve()
    stem = path.name if path.is_dir() else path.stem
    return path.with_name(stem + _output(kind).suffix)


def create_writer(kind: str, path: str | Path | None, source: FrameSource, threshold: float = 0.5) -> Writer:
    """Open the writer of an output by name (a key of OUTPUTS), at `path` or at its `default_path`.

    Raises:
        InputError: there is no such kind, or the output cannot be written.
    """
    writer = _output(kind).writer
    return writer(default_path(kind, source) if path is None else path, source, threshold)


def _output(kind: str) -> Output:
    if kind not in OUTPUTS:
        raise InputError(f"{kind}: no such output; choose from {', '.join(OUTPUTS)}")
    return OUTPUTS[kind]


def _cutout(image: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA with straight alpha; black beyond the reach of the edges, which compresses and hides the rest."""
    near = cv2.dilate(alpha, np.ones((17, 17), np.uint8))
    colours = cv2.copyTo(image, near)
    return np.asarray(cv2.merge((*cv2.split(colours), alpha)), np.uint8)


@contextmanager
def _atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder; on success its files are moved into `path`, on an error it is removed."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, not a folder; choose another output")
    parent = path if path.is_dir() else path.parent
    parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=parent))
    try:
        yield temporary
        path.mkdir(exist_ok=True)
        for file in temporary.iterdir():
            file.replace(path / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

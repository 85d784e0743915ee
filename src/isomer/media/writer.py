"""Writing what was found as videos, animated images, folders or zips of PNGs."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import ClassVar

import av
import cv2
import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from isomer.errors import InputError
from isomer.files import atomic_path, made_folder
from isomer.media.frame import Frame, Source, display_size, pixel_aspect
from isomer.media.image import encode_image, encode_palette
from isomer.media.labels import Labels
from isomer.media.overlay import overlay, overlay_objects

# The index first, so that browsers play before all is loaded; no random identifiers, no version of FFmpeg.
_CONTAINER_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}
# Of an encoder: the number changes its bytes, so it must not be that of the machine's cores.
_THREADS = 4
_LIMITED = np.linspace(16, 235, 256).round().astype(np.uint8)  # luma of limited range, from black to white


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

    def __init__(self, path: str | Path, source: Source, threshold: float = 0.5) -> None:
        self.path = Path(path)
        self.threshold = threshold
        if self.path.resolve() == source.path.resolve():
            raise InputError(f"{self.path}: is the input itself; choose another output")
        self._resources = ExitStack()

    needs_pictures: ClassVar[bool] = False
    """Whether the output shows the frames' own pictures, not masks alone."""

    def write(self, frame: Frame, probability: NDArray[np.float32], labels: Labels | None = None) -> None:
        """Add one frame with its map, float32 [H, W] in [0, 1].

        Outputs that tell objects apart take them from `labels`, uint8 [H, W]; without, all that is found is
        object 1.
        """
        picture = self._picture(frame.image, probability, labels)
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
    def _picture(
        self, image: NDArray[np.uint8], probability: NDArray[np.float32], labels: Labels | None
    ) -> NDArray[np.uint8]:
        """What to write of a frame: uint8 gray [H, W], RGB [H, W, 3] or RGBA [H, W, 4]."""

    @abstractmethod
    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        """Write the picture of a frame."""

    def _mask(self, probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.asarray((probability >= self.threshold).view(np.uint8) * np.uint8(255), np.uint8)

    def _labels(self, probability: NDArray[np.float32], labels: Labels | None) -> Labels:
        return np.asarray(probability >= self.threshold, np.uint8) if labels is None else labels

    def _alpha(self, probability: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Opacity, uint8: 0.5 at the threshold, 0 and 1 from at most 0.25 below and above: soft edges, no haze."""
        reach = min(0.25, self.threshold, 1 - self.threshold)
        return np.asarray(np.clip((probability - self.threshold) * (127.5 / reach) + 127.5, 0, 255), np.uint8)


class FolderWriter(Writer):
    """One PNG a frame, `<frame.name>.png`, in a folder.

    They are gathered in a hidden folder and moved over at the end; other files of an existing folder stay.
    """

    def __init__(self, path: str | Path, source: Source, threshold: float = 0.5) -> None:
        super().__init__(path, source, threshold)
        with self._one_line():
            self._folder = self._resources.enter_context(_atomic_folder(self.path))

    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        (self._folder / f"{frame.name}.png").write_bytes(encode_image(picture))


class MaskFolderWriter(FolderWriter):
    """Binary masks: gray PNGs, 255 on the object and 0 elsewhere."""

    def _picture(
        self, image: NDArray[np.uint8], probability: NDArray[np.float32], labels: Labels | None
    ) -> NDArray[np.uint8]:
        return self._mask(probability)


class ProbabilityFolderWriter(FolderWriter):
    """Probability maps: gray PNGs, round(255 p)."""

    def _picture(
        self, image: NDArray[np.uint8], probability: NDArray[np.float32], labels: Labels | None
    ) -> NDArray[np.uint8]:
        return np.asarray(np.rint(probability * 255), np.uint8)


class CutoutFolderWriter(FolderWriter):
    """The object on transparent: RGBA PNGs, straight alpha."""

    needs_pictures = True

    def _picture(
        self, image: NDArray[np.uint8], probability: NDArray[np.float32], labels: Labels | None
    ) -> NDArray[np.uint8]:
        return _cutout(image, self._alpha(probability))


class PaletteFolderWriter(FolderWriter):
    """Objects as DAVIS annotates them: palette PNGs whose indices are the objects' numbers."""

    def _picture(
        self, image: NDArray[np.uint8], probability: NDArray[np.float32], labels: Labels | None
    ) -> NDArray[np.uint8]:
        return self._labels(probability, labels)

    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        (self._folder / f"{frame.name}.png").write_bytes(encode_palette(picture))


class FileWriter(Writer):
    """One file, written under a temporary name and renamed at the end."""

    suffixes: ClassVar[tuple[str, ...]]

    def __init__(self, path: str | Path, source: Source, threshold: float = 0.5) -> None:
        super().__init__(path, source, threshold)
        if self.path.suffix.lower() not in self.suffixes:
            raise InputError(f"{self.path}: not a format for this output; use {' or '.join(self.suffixes)}")
        if self.path.is_dir():
            raise InputError(f"{self.path}: is a folder; choose another output")
        with self._one_line(), ExitStack() as resources:
            temporary = resources.enter_context(atomic_path(self.path))
            self._open(temporary, source, resources)
            self._resources = resources.pop_all()

    @abstractmethod
    def _open(self, temporary: Path, source: Source, resources: ExitStack) -> None:
        """Open the file; what finishes it goes on `resources`."""


class ZipWriter(FileWriter):
    """Binary masks in one file: a zip of gray PNGs, 255 on the object and 0 elsewhere."""

    suffixes = (".zip",)

    def _open(self, temporary: Path, source: Source, resources: ExitStack) -> None:
        self._zip = resources.enter_context(zipfile.ZipFile(temporary, "w"))

    def _picture(
        self, image: NDArray[np.uint8], probability: NDArray[np.float32], labels: Labels | None
    ) -> NDArray[np.uint8]:
        return self._mask(probability)

    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        entry = zipfile.ZipInfo(f"{frame.name}.png")  # dated 1980: the same masks, the same bytes
        entry.external_attr = 0o644 << 16
        self._zip.writestr(entry, encode_image(picture))


class VideoWriter(FileWriter):
    """A video that browsers play, with the time stamps of the source.

    Where the codec stores colour at half the resolution, an odd width or height is made even by repeating the
    last column or row. Colours are BT.709 of limited range, and tagged so. Pixels that are not square are tagged
    so too or, where FFmpeg cannot, made square by stretching the picture.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".mp4", ".mov", ".mkv")
    _codec: ClassVar[str] = "libx264"
    _pixel_format: ClassVar[str] = "yuv420p"
    # x264's macroblock tree was seen to give other bytes from run to run on a busy machine with AVX-512.
    _codec_options: ClassVar[dict[str, str]] = {"preset": "superfast", "crf": "21", "x264-params": "mbtree=0"}
    _muxer_options: ClassVar[dict[str, str]] = {}
    _time_base: ClassVar[Fraction] = Fraction(1, 90_000)
    _tells_pixel_aspect: ClassVar[bool] = True  # whether FFmpeg can write it down in this format

    def _open(self, temporary: Path, source: Source, resources: ExitStack) -> None:
        self._container = av.open(str(temporary), "w", container_options=_CONTAINER_OPTIONS | self._muxer_options)
        resources.push(self._finish)
        self._size = self._picture_size(source)
        self._stream = self._add_stream(source)
        self._container.start_encoding()
        self._reformatter = VideoReformatter()
        self._last_pts = -1
        self._frame_duration = round(1 / source.fps / self._time_base)

    def _put(self, frame: Frame, picture: NDArray[np.uint8]) -> None:
        picture = _resized(picture, self._size)
        bottom, right = self._stream.height - picture.shape[0], self._stream.width - picture.shape[1]
        if bottom or right:
            border = ((0, bottom), (0, right), (0, 0))[: picture.ndim]
            picture = np.pad(picture, border, mode="edge")
        video_frame = self._video_frame(picture)
        video_frame.pts = self._last_pts = max(self._last_pts + 1, round(frame.time / self._time_base))
        video_frame.time_base = self._time_base
        video_frame.duration = self._frame_duration
        self._encode(video_frame)

    def _video_frame(self, picture: NDArray[np.uint8]) -> VideoFrame:
        """Convert a picture, gray [H, W], RGB [H, W, 3] or RGBA [H, W, 4], to what is encoded."""
        pixel_format = "gray" if picture.ndim == 2 else {3: "rgb24", 4: "rgba"}[picture.shape[2]]
        return self._reformatter.reformat(
            VideoFrame.from_ndarray(picture, pixel_format),
            format=self._pixel_format,
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,  # the result of swscale's own threads is not the same every time
        )

    def _encode(self, video_frame: VideoFrame) -> None:
        self._container.mux(self._stream.encode(video_frame))

    def _picture_size(self, source: Source) -> tuple[int, int]:
        """Return the (width, height) of what is shown."""
        return source.size if self._tells_pixel_aspect else display_size(source)

    def _add_stream(self, source: Source) -> VideoStream:
        stream = self._container.add_stream(self._codec, rate=source.fps, options=dict(self._codec_options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = (side + side % 2 for side in self._size)
        stream.pix_fmt = self._pixel_format
        context = stream.codec_context
        context.time_base = self._time_base
        context.sample_aspect_ratio = pixel_aspect(source) if self._tells_pixel_aspect else Fraction(1)
        context.thread_type, context.thread_count = "AUTO", _THREADS
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

    _codec_options: ClassVar[dict[str, str]] = {**VideoWriter._codec_options, "preset": "ultrafast"}  # no larger here

    def _video_frame(self, picture: NDArray[np.uint8]) -> VideoFrame:
        height, width = picture.shape
        planes = np.full((height * 3 // 2, width), 128, np.uint8)  # luma, then both chromas without colour
        cv2.LUT(picture, _LIMITED, planes[:height])
        return VideoFrame.from_ndarray(planes, "yuv420p")

    def _picture(
        self, image: NDArray[np.uint8], probability: NDArray[np.float32], labels: Labels | None
    ) -> NDArray[np.uint8]:
        return self._mask(probability)


class OverlayVideoWriter(VideoWriter):
    """The video with the object tinted and outlined and the rest dimmed: H.264."""

    needs_pictures = True

    def _picture(
        self, image: NDArray[np.uint8], probability: NDArray[np.float32], labels: Labels | None
    ) -> NDArray[np.uint8]:
        if labels is None:
            return overlay(image, self._mask(probability))
        return overlay_objects(image, labels)


class CutoutVideoWriter(VideoWriter):
    """The object on transparent: VP9 with alpha in WebM."""

    needs_pictures = True
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
    _tells_pixel_aspect = False

    def _picture(
        self, image: NDArray[np.uint8], probability: NDArray[np.float32], labels: Labels | None
    ) -> NDArray[np.uint8]:
        return _cutout(image, self._alpha(probability))


class ProResWriter(CutoutVideoWriter):
    """The object on transparent for editing: ProRes 4444 with straight alpha in QuickTime."""

    suffixes = (".mov",)
    _codec = "prores_ks"
    _pixel_format = "yuva444p10le"
    _codec_options: ClassVar[dict[str, str]] = {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}
    _time_base = VideoWriter._time_base
    _tells_pixel_aspect = True


class WebPWriter(OverlayVideoWriter):
    """A small overlay to show around: an animated WebP that loops.

    At most 480 pixels on the longer side and ten frames a second.
    """

    suffixes = (".webp",)
    _codec = "libwebp"  # a picture at a time; libwebp_anim would hold the whole animation in memory
    _pixel_format = "bgra"
    _codec_options: ClassVar[dict[str, str]] = {"quality": "60", "compression_level": "2"}
    _muxer_options: ClassVar[dict[str, str]] = {"loop": "0"}
    _time_base = Fraction(1, 1000)
    _tells_pixel_aspect = False
    _longer_side: ClassVar[int] = 480
    _interval: ClassVar[float] = 0.1  # seconds

    def _open(self, temporary: Path, source: Source, resources: ExitStack) -> None:
        super()._open(temporary, source, resources)
        self._due = 0.0
        self._frame_duration = round(max(self._interval, float(1 / source.fps)) / self._time_base)

    def write(self, frame: Frame, probability: NDArray[np.float32], labels: Labels | None = None) -> None:
        """Add one frame, unless it follows the last one too soon; see `Writer.write`."""
        if frame.time >= self._due - 1e-6:
            self._due = max(self._due + self._interval, frame.time)
            super().write(frame, probability, labels)

    def _picture_size(self, source: Source) -> tuple[int, int]:
        shown = super()._picture_size(source)
        scale = min(1.0, self._longer_side / max(shown))
        width, height = (max(2, round(side * scale / 2) * 2) for side in shown)
        return width, height


class GIFWriter(WebPWriter):
    """The same as an animated GIF, each picture with the 256 colours that suit it."""

    suffixes = (".gif",)
    _codec = "gif"
    _pixel_format = "rgb24"
    _codec_options: ClassVar[dict[str, str]] = {}
    _time_base = Fraction(1, 100)

    def _add_stream(self, source: Source) -> VideoStream:
        stream = super()._add_stream(source)
        stream.pix_fmt = "pal8"
        self._graph = Graph()
        entry = self._graph.add_buffer(
            width=self._size[0],
            height=self._size[1],
            format=VideoFormat(self._pixel_format),
            time_base=self._time_base,
        )
        split, palette = self._graph.add("split"), self._graph.add("palettegen", "stats_mode=single")
        use, end = self._graph.add("paletteuse", "new=1:dither=bayer"), self._graph.add("buffersink")
        entry.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(palette, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(end)
        self._graph.configure()
        return stream

    def _encode(self, video_frame: VideoFrame) -> None:
        self._graph.push(video_frame)
        self._drain()

    def _finish(self, kind: type[BaseException] | None, *details: object) -> None:
        if kind is None:
            self._graph.push(None)
            self._drain()
        super()._finish(kind, *details)

    def _drain(self) -> None:
        with suppress(av.error.BlockingIOError, av.error.EOFError):
            while True:
                super()._encode(self._graph.vpull())


def _cutout(image: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA with straight alpha; black beyond the reach of the edges, which compresses and hides the rest."""
    near = cv2.dilate(alpha, np.ones((17, 17), np.uint8))
    colours = cv2.copyTo(image, near)
    return np.asarray(cv2.merge((*cv2.split(colours), alpha)), np.uint8)


def _resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    enlarged = size[0] >= width and size[1] >= height
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR if enlarged else cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


@contextmanager
def _atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a hidden folder; on success its files are moved into `path`, on an error it is removed."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file, not a folder; choose another output")
    parent = path if path.is_dir() else path.parent
    with made_folder(parent):
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=parent))
        try:
            yield temporary
            path.mkdir(exist_ok=True)
            for file in temporary.iterdir():
                file.replace(path / file.name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

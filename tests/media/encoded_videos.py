"""Real videos, encoded here."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

COLOURS = np.array([(200, 40, 40), (40, 180, 60), (50, 70, 210), (230, 220, 60)], np.uint8)


def quadrants(width: int, height: int) -> NDArray[np.uint8]:
    """Four flat colours, so that every rotation and mirroring shows."""
    rows, columns = np.arange(height) * 2 // height, np.arange(width) * 2 // width
    return COLOURS[2 * rows[:, None] + columns]


def moving(count: int, width: int = 96, height: int = 64) -> list[NDArray[np.uint8]]:
    """Noise columns that shift: every frame differs and none compresses to nothing."""
    row = np.random.default_rng(0).integers(0, 256, (1, width, 3), np.uint8)
    return [np.roll(np.repeat(row, height, axis=0), index, axis=1) for index in range(count)]


def encode(
    path: Path,
    images: Iterable[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    fps: int = 25,
    times: list[float] | None = None,
    audio: bool = False,
    options: dict[str, str] | None = None,
    container: dict[str, str] | None = None,
    reformat: dict[str, object] | None = None,
) -> Path:
    with av.open(str(path), "w", container_options=container or {}) as file:
        stream = None
        for index, image in enumerate(images):
            if stream is None:
                stream = file.add_stream(codec, rate=fps, options=options or {"crf": "10"})
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = pixel_format
                stream.codec_context.time_base = Fraction(1, 90_000) if times else Fraction(1, fps)
                sound = file.add_stream("aac", rate=16_000, layout="mono") if audio else None
            picture = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
                format=pixel_format, threads=1, **(reformat or {})
            )
            picture.pts = round(times[index] * 90_000) if times else index
            picture.time_base = stream.codec_context.time_base
            file.mux(stream.encode(picture))
        assert stream is not None
        file.mux(stream.encode(None))
        if sound is not None:
            for block in range(40):
                samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                samples.sample_rate, samples.pts = 16_000, block * 1024
                file.mux(sound.encode(samples))
            file.mux(sound.encode(None))
    return path


def growing(path: Path, first: tuple[int, int], second: tuple[int, int]) -> Path:
    """An H.264 stream whose pictures, six of each size, change from one to the other."""
    parts = [encode(path.with_name(f"{size[0]}.h264"), moving(6, *size)) for size in (first, second)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def assert_close(image: NDArray[np.uint8], expected: NDArray[np.uint8], tolerance: int = 5) -> None:
    """Equal but for what the codec does; away from edges, where half-resolution colour bleeds."""
    assert image.shape == expected.shape
    error = np.abs(image.astype(int) - expected)
    inside = np.ones(image.shape[:2], bool)
    for axis in (0, 1):
        change = np.abs(np.diff(expected.astype(int), axis=axis)).sum(-1) > 0
        for line in np.unique(np.nonzero(change)[axis]):
            inside[(slice(None),) * axis + (slice(max(line - 3, 0), line + 5),)] = False
    assert inside.mean() > 0.5
    assert error[inside].max() <= tolerance

"""Rendered scenes as videos on disk."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isomer.data.kitti import write_kitti_flow
from isomer.data.synthetic.scene import Scene
from isomer.media import OUTPUTS, Frame, Output, Segmented, open_outputs, pictures
from isomer.media.containers import h264
from isomer.media.image import write_image

_VIDEO = Output(pictures.image, h264, ".mp4", "H.264 video, the frames as they are", shows_video=True)


class SceneFrames:
    """The frames of a scene as a `FrameSource`.

    Args:
        scene: rendered at the times 0, 1, 2, ...
        count: of the frames.
        fps: frames per second.
    """

    def __init__(self, scene: Scene, count: int, fps: Fraction = Fraction(24)):
        self.path = Path("scene")
        self.scene, self.size, self.fps = scene, scene.size, fps
        self.count: int | None = count
        self._times = range(count)

    def __iter__(self) -> Iterator[Frame]:
        """Render the frames one by one."""
        for frame, _ in self.with_masks():
            yield frame

    def with_masks(self) -> Iterator[tuple[Frame, NDArray[np.uint8]]]:
        """Render the frames with their masks, 0/255 [H, W]."""
        for index in self._times:
            image, mask = self.scene.render(index)
            yield Frame(index, image, float(index / self.fps), f"{index:05d}"), mask


def write_clip(frames: SceneFrames, video: Path, mask_video: Path | None = None) -> None:
    """Write a scene as an H.264 video and its mask, white on black, as another.

    Raises:
        InputError: an output cannot be written.
    """
    outputs = [(_VIDEO, video)]
    if mask_video is not None:
        outputs.append((OUTPUTS["mask"], mask_video))
    with open_outputs(outputs, frames) as writers:
        for frame, mask in frames.with_masks():
            result = Segmented.of(frame, (mask / 255).astype(np.float32))
            for writer in writers:
                writer.write(result)


def write_sequence(frames: SceneFrames, folder: Path) -> None:
    """Write a scene as a sequence of the layout that training reads: `frames`, `masks` and exact `flow`.

    The flow of frame t is that to frame t + 1; the last frame has none.

    Raises:
        InputError: a file cannot be written.
    """
    for frame, mask in frames.with_masks():
        write_image(folder / "frames" / f"{frame.name}.png", frame.image)
        write_image(folder / "masks" / f"{frame.name}.png", mask)
        if frame.index > 0:
            flow = frames.scene.flow(frame.index - 1, frame.index)
            write_kitti_flow(folder / "flow" / f"{frame.index - 1:05d}.png", flow)

"""Good files of every kind: a square that moves, and its masks."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors.torch import load_file
from trial import run

from isomer.flow.flo import write_flo
from isomer.media.image import encode_image, encode_palette, write_image
from isomer.model.weights import EMBEDDED

FRAMES, WIDTH, HEIGHT = 10, 96, 64

_RECIPE = {
    "output": "out",
    "log_every": 1,
    "save_every": 1,
    "model": {"encoder": "mobilenet_v2", "head_width": 16},
    "data": {
        "root": "data",
        "cutouts": [{"path": "stills"}],
        "backgrounds": ["backgrounds"],
        "videos": [],
        "sizes": [64],
        "real": 0,
        "workers": 1,
    },
    "optimizer": {"steps": 6, "batch": 2, "warmup": 2},
    "hardware": {"accelerator": "cpu", "threads": 1},
}
_VIDEOS = {  # by name: codec, pixel format
    "h264.mp4": ("libx264", "yuv420p"),
    "mpeg4.mov": ("mpeg4", "yuv420p"),
    "h264.mkv": ("libx264", "yuv420p"),
    "mpeg2.ts": ("mpeg2video", "yuv420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "vp9.webm": ("libvpx-vp9", "yuva420p"),
    "animated.gif": ("gif", "rgb8"),
}


def pictures(count: int = FRAMES) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """RGB [H, W, 3] and mask [H, W] of each frame."""
    noise = np.random.default_rng(0).integers(40, 90, (HEIGHT, WIDTH, 3), np.uint8)
    made = []
    for index in range(count):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        left = 8 + 3 * (index % 20)
        mask[20:44, left : left + 24] = 255
        made.append((np.where(mask[..., None] > 0, np.uint8((220, 180, 60)), noise), mask))
    return made


def write_video(path: Path, images: list[NDArray[np.uint8]], codec: str = "libx264", kind: str = "yuv420p") -> None:
    """Encode RGB images."""
    with av.open(str(path), "w") as container:
        options = {"cpu-used": "8", "deadline": "realtime"} if codec == "libvpx-vp9" else {}
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = images[0].shape[1], images[0].shape[0], kind
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode(None))


def make(folder: Path) -> None:
    """Write the samples: files of every kind that is read, and what each verb takes."""
    images, masks = (list(several) for several in zip(*pictures(), strict=True))
    (folder / "videos").mkdir(parents=True)
    for name, (codec, kind) in _VIDEOS.items():
        write_video(folder / "videos" / name, images, codec, kind)
    mask = masks[0]
    encoded = {
        "gray.png": encode_image(mask),
        "palette.png": encode_palette(mask // 255),
        "cutout.png": encode_image(np.dstack([images[0], mask])),
        "deep.png": cv2.imencode(".png", mask.astype(np.uint16) * 257)[1].tobytes(),
        "photo.jpg": encode_image(images[0], ".jpg"),
        "lossy.webp": encode_image(images[0], ".webp"),
        "plain.bmp": encode_image(mask, ".bmp"),
    }
    (folder / "images").mkdir()
    for name, data in encoded.items():
        (folder / "images" / name).write_bytes(data)
    for name in ("a", "b"):
        for index, (image, mask) in enumerate(pictures(4)):
            write_image(folder / "dataset" / "JPEGImages" / name / f"{index:05d}.jpg", image)
            write_image(folder / "dataset" / "Annotations" / name / f"{index:05d}.png", mask)
            write_image(folder / "maps" / name / f"{index:05d}.png", mask)
    (folder / "checkpoints").mkdir()
    shipped = EMBEDDED / "isomer_efficientnet_lite0.safetensors"
    shutil.copy(shipped, folder / "checkpoints")
    torch.save(load_file(shipped), folder / "checkpoints" / "weights.pth")
    write_flo(folder / "plain.flo", np.zeros((HEIGHT, WIDTH, 2), np.float32))
    write_video(folder / "clip.mp4", images)
    (folder / "clips").mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(folder / "clip.mp4", folder / "clips" / name)
    for name, several in (("stills/images", images), ("stills/masks", masks), ("backgrounds", images)):
        for index, image in enumerate(several):
            write_image(folder / "data" / name / f"{index}.png", image)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(_RECIPE))
    for index, mask in enumerate(masks):
        write_image(folder / "masks" / f"{index:05d}.png", mask)
    kinds = {"coco.json": "coco", "polygons.json": "polygons", "vis.json": "youtube-vis", "masks.zip": "zip"}
    for target, kind in kinds.items():
        ended = run(["convert", "masks", "-o", target, "--output", kind], folder)
        assert ended.code == 0, ended.err

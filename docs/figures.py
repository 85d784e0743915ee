"""Make the figures of the documentation from the shipped weights, examples/clip.mp4 and drawn scenes.

    python docs/figures.py [--model NAME_OR_FILE]

They go to docs/images and are committed: run it again when the default weights change. Needs the
extra plots.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from numpy.typing import NDArray

from isomer import Segmenter, create_model, segment_video
from isomer.data.synthetic.drawn import draw_scene
from isomer.data.synthetic.edges import draw_edge_scene
from isomer.data.synthetic.motion import Motion
from isomer.data.synthetic.scene import Scene
from isomer.flow import DISFlow, Flow, flow_to_image, frames_with_flow
from isomer.media import Frame, Look, open_frames, pictures
from isomer.media.image import read_gray, read_image, write_image
from isomer.media.overlay import overlay
from isomer.media.resize import network_size
from isomer.model.cst import ContextSharing
from isomer.model.network import Isomer
from isomer.model.sgst import SGST
from isomer.options import EDGES, Quality, VideoOptions
from isomer.runtime.uint8_network import Uint8Network
from isomer.segment.objects.project import list_objects

_CLIP = Path(__file__).parents[1] / "examples" / "clip.mp4"
_IMAGES = Path(__file__).parent / "images"
_LOG = Path(__file__).parent / "training_log.csv"
_SMALL = (427, 240)
_INDEX = 40  # of the example's frame that most figures show

_Image = NDArray[np.uint8]
_Map = NDArray[np.float32]


class Inside(NamedTuple):
    """A frame with what the network made of it.

    Attributes:
        frame, flow: what it saw, uint8 RGB [H, W, 3].
        contexts: attention of each CST, 1 on average, float32 [H / s, W / s].
        heat_maps: of each SGST, float32 [H / s, W / s] in [0, 1].
        probability: float32 [H, W] in [0, 1].
    """

    frame: _Image
    flow: _Image
    contexts: list[_Map]
    heat_maps: list[_Map]
    probability: _Map


def look_inside(network: Isomer, frame: _Image, flow: _Image) -> Inside:
    """Run the network on a frame and its flow image, uint8 RGB, and keep what it makes on the way."""
    size = network_size(frame.shape[1], frame.shape[0], 384, network.stride)
    frame, flow = _resized(frame, size), _resized(flow, size)
    contexts, heat_maps = list[_Map](), list[_Map]()

    def keep_context(module: Any, inputs: Any, _: object) -> None:
        scores = module.conv_mask(inputs[0])[0, 0]
        contexts.append((scores.flatten().softmax(0) * scores.numel()).reshape(scores.shape).numpy())

    def keep_heat_map(_: object, __: object, output: Any) -> None:
        heat_maps.append(output[1][0, 0].sigmoid().numpy())

    keepers = {ContextSharing: keep_context, SGST: keep_heat_map}
    hooks = [
        module.register_forward_hook(keepers[type(module)]) for module in network.modules() if type(module) in keepers
    ]
    with torch.inference_mode():
        probability = Uint8Network(network)(torch.from_numpy(frame[None]), torch.from_numpy(flow[None]))
    for hook in hooks:
        hook.remove()
    return Inside(frame, flow, contexts, heat_maps, probability[0].numpy())


def frames_of(scene: Scene, times: Iterable[float]) -> Iterator[Frame]:
    """Render a scene at the given times."""
    for index, time in enumerate(times):
        yield Frame(index, scene.render(time)[0], float(index), f"{index:05d}")


def frame_and_flow(frames: Iterable[Frame], index: int) -> tuple[_Image, Flow]:
    """Return a frame and the flow that the segmenter would take for it."""
    frame, flow = next(islice(frames_with_flow(frames, DISFlow()), index, None))
    return frame.image, flow


def with_second_car(scene: Scene, other: Scene, *, drives: bool) -> Scene:
    """Put the car of another scene on the far side of a scene's road; it drives there, or is parked."""
    width, height = scene.size
    body = next(number for number, layer in enumerate(scene.layers) if layer.primary)
    shadow = body - 1
    farther = np.array([[0.6, 0, 0.66 * width], [0, 0.6, 0.225 * height], [0, 0, 1]])
    second = [
        replace(layer, placement=farther @ layer.placement, motions=layer.motions[:1] if drives else ())
        for layer in other.layers[shadow : body + 3]  # with its two wheels
    ]
    return replace(scene, layers=[*scene.layers[:shadow], *second, *scene.layers[shadow:]])


def draw_outputs(model: str) -> None:
    """Show the example's overlay as a film strip, every output of one frame, and what the threshold does."""
    with tempfile.TemporaryDirectory() as folder:
        kinds = ("overlay", "masks", "probabilities", "cutouts", "palette")
        summary = segment_video(_CLIP, folder, outputs=kinds, model=model, backend="torch", device="cpu")
        video, masks, probabilities, cutouts, palette = summary.outputs
        frames = [_resized(frame.image) for frame in open_frames(_CLIP)]
        overlays = [_resized(frame.image) for frame in open_frames(video)]
        name = f"{_INDEX:05d}.png"
        mask, probability = read_gray(masks / name), read_gray(probabilities / name)
        cutout = cv2.imread(str(cutouts / name), cv2.IMREAD_UNCHANGED)
        objects = read_image(palette / name)
    gap = np.full((_SMALL[1], 6, 3), 255, np.uint8)
    _save("overlay.jpg", np.hstack([overlays[8], gap, overlays[28], gap, overlays[48], gap, overlays[68]]))
    _save("output_input.jpg", frames[_INDEX])
    _save("output_overlay.jpg", overlays[_INDEX])
    _save("output_masks.png", _resized(mask))
    _save("output_probabilities.png", _resized(probability))
    _save("output_cutouts.png", _resized(cv2.cvtColor(cutout, cv2.COLOR_BGRA2RGBA)))
    _save("output_palette.png", cv2.resize(objects, _SMALL, interpolation=cv2.INTER_NEAREST))
    thresholds = (0.1, 0.5, 0.9)
    masks_at = [np.where(_resized(probability) >= 255 * t, np.uint8(255), np.uint8(0)) for t in thresholds]
    pictures = [overlay(frames[_INDEX], mask) for mask in masks_at]
    _grid("thresholds.jpg", [pictures], [f"--threshold {threshold}" for threshold in thresholds])


def draw_objects(model: str) -> None:
    """Show the overlay of two cars that drive, as one foreground and as objects."""
    scene = with_second_car(_scene(5), _scene(3), drives=True)
    with tempfile.TemporaryDirectory() as folder:
        frames, video = Path(folder) / "frames", Path(folder) / "overlay.mp4"
        for frame in frames_of(scene, range(10, 22)):
            write_image(frames / f"{frame.name}.png", frame.image)
        pictures = []
        for objects in (False, True):
            segment_video(frames, video, model=model, backend="torch", device="cpu", objects=objects)
            pictures.append(next(islice(open_frames(video), 8, None)).image)
        sheet = Path(folder) / "sheet.png"
        list_objects(frames, VideoOptions(model=model, backend="torch", device="cpu"), sheet=sheet)
        _save("objects_sheet.jpg", read_image(sheet))
    _grid("objects.jpg", [pictures], ["as one", "--objects"])


def draw_edges(model: str) -> None:
    """Show the cut-outs of a furry creature with each kind of edges, from near, on green and on white."""
    scene = draw_edge_scene(np.random.default_rng(3), "hair")
    images = [scene.expose(t).image for t in range(9)]
    cutouts = []
    for edges in EDGES:
        segmenter = Segmenter(model, backend="torch", device="cpu", edges=edges)
        cutouts.append(pictures.cutout(list(segmenter(images))[4], Look()))
    left, top, _, height = cv2.boundingRect(cutouts[-1][..., 3])
    near = slice(top, top + height // 2), slice(left, left + round(height / 2 * _SMALL[0] / _SMALL[1]))
    rows = []
    for colour in ((0, 177, 64), (255, 255, 255)):
        shares = [cutout[..., 3:] / 255 for cutout in cutouts]
        shown = [c[..., :3] * share + np.array(colour) * (1 - share) for c, share in zip(cutouts, shares, strict=True)]
        rows.append([np.ascontiguousarray(picture[near].astype(np.uint8)) for picture in (images[4], *shown)])
    _grid("edges.jpg", rows, ["frame", *(f"--edges {edges}" for edges in EDGES)])


def draw_flow_images() -> None:
    """Show the flow image and its colours, what a still scene gives, and what the temporal step does."""
    image, flow = frame_and_flow(open_frames(_CLIP), _INDEX)
    rows, columns = np.mgrid[-120:120, -213:214].astype(np.float32) / 120
    wheel = flow_to_image(np.dstack([columns, rows]), 1.0)
    wheel[np.hypot(columns, rows) > 1] = 255
    titles = ["frame", "its flow image", "colours: what moves right is red"]
    _grid("flow.jpg", [[image, flow_to_image(flow), wheel]], titles)

    rng = np.random.default_rng(0)
    part = image[180:, :534]  # without the sky, where nothing holds the flow
    still = [np.clip(part + rng.normal(0, 2, part.shape), 0, 255).astype(np.uint8) for _ in range(2)]
    noise = DISFlow().between(*still)
    largest = float(np.linalg.norm(noise, axis=-1).max())
    titles = ["nothing moves, but there is noise", "scaled by its own maximum", "with the floor, as here"]
    _grid("flow_floor.jpg", [[still[0], flow_to_image(noise, largest), flow_to_image(noise)]], titles)

    slow = list(frames_of(_scene(7), np.arange(40, 42, 0.125)))
    neighbours = DISFlow()(slow[8], slow[9])
    chosen = frame_and_flow(slow, 8)[1]
    titles = ["a frame of a slow motion", "flow to the next frame", "flow with the step chosen"]
    _grid("temporal_step.jpg", [[slow[8].image, flow_to_image(neighbours), flow_to_image(chosen)]], titles)


def draw_network(network: Isomer) -> None:
    """Show the attention of the CSTs, the heat maps of the SGSTs, and what each of the two inputs tells."""
    parked = with_second_car(_scene(5), _scene(3), drives=False)
    still = replace(_scene(7), camera=Motion((0.0, 0.0)))
    scenes = [
        frame_and_flow(open_frames(_CLIP), _INDEX),
        frame_and_flow(frames_of(parked, range(10, 18)), 4),
        frame_and_flow(frames_of(still, range(10, 18)), 4),
    ]
    insides = [look_inside(network, image, flow_to_image(flow)) for image, flow in scenes]
    titles = ["frame", "flow image", "stage 3: heat map", "stage 4: heat map", "probability"]
    rows = [[i.frame, i.flow, *i.heat_maps, i.probability] for i in insides]
    _grid("heat_maps.jpg", rows, titles)

    titles = ["frame", "stage 1: attention", "stage 2: attention"]
    shown = [np.log10(np.maximum(c, 1e-3)) / 5 + 0.6 for c in insides[0].contexts]  # 0.001 to 100 times
    _grid("contexts.jpg", [[insides[0].frame, *shown]], titles)

    image, flow = scenes[1]
    none, gray = np.full_like(image, 255), np.full_like(image, 128)
    pairs = [(image, flow_to_image(flow)), (image, none), (gray, flow_to_image(flow))]
    insides = [look_inside(network, *pair) for pair in pairs]
    titles = ["frame", "flow image", "probability"]
    rows = [[i.frame, i.flow, i.probability] for i in insides]
    _grid("evidence.jpg", rows, titles, ["both", "no motion", "no appearance"])


def draw_training() -> None:
    """Plot J&F on the held-out sequences over the samples seen, of the runs behind the default weights."""
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in csv.DictReader(_LOG.open()):
        curves.setdefault((row["run"], row["flow"]), []).append((int(row["samples"]) / 1000, float(row["J&F"])))
    figure, axis = plt.subplots(figsize=(6, 2.8), dpi=115, layout="constrained")
    for (run, flow), points in curves.items():
        axis.plot(*zip(*points, strict=True), marker=".", label=f"{run} run, flow by {flow}")
    axis.set(xlabel="thousand samples", ylabel="J&F on held-out sequences")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    plt.close(figure)
    _save("training.png", np.ascontiguousarray(picture))


def _scene(seed: int) -> Scene:
    return draw_scene(np.random.default_rng(seed))


def _resized(image: NDArray[Any], size: tuple[int, int] = _SMALL) -> NDArray[Any]:
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _grid(name: str, rows: Sequence[Sequence[NDArray[Any]]], titles: Sequence[str], labels: Sequence[str] = ()) -> None:
    """Save pictures, uint8 RGB or float maps in [0, 1], under the titles of their columns."""
    width, height, gap = 2.6, 2.6 * _SMALL[1] / _SMALL[0], 0.04  # inches
    top, left = 0.25, 0.25 if labels else 0.0
    size = (left + len(titles) * (width + gap), top + len(rows) * (height + gap))
    figure, axes = plt.subplots(len(rows), len(titles), figsize=size, squeeze=False, dpi=115)
    figure.subplots_adjust(left / size[0], 0, 1, 1 - top / size[1], gap / width, gap / height)
    for axis, picture in zip(axes.flat, (picture for row in rows for picture in row), strict=True):
        _show(axis, picture)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    for axis, label in zip(axes[:, 0], labels, strict=False):
        axis.set_ylabel(label, fontsize=9)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    plt.close(figure)
    _save(name, np.ascontiguousarray(picture))


def _show(axis: Axes, picture: NDArray[Any]) -> None:
    if picture.ndim == 3:
        axis.imshow(_resized(picture), interpolation="none", aspect="auto")
    else:
        axis.imshow(picture, cmap="magma", vmin=0, vmax=1, interpolation="none", aspect="auto")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def _save(name: str, picture: NDArray[Any]) -> None:
    path = _IMAGES / name
    write_image(path, picture)
    print(f"{name}: {picture.shape[1]}x{picture.shape[0]}, {path.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Make all figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=Quality.model)
    arguments = parser.parse_args()
    plt.switch_backend("agg")
    cv2.setNumThreads(1)
    draw_outputs(arguments.model)
    draw_objects(arguments.model)
    draw_edges(arguments.model)
    draw_flow_images()
    draw_training()
    draw_network(create_model(arguments.model))


if __name__ == "__main__":
    main()

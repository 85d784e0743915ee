"""Named protocols: which frames count, which thresholds and resizing hold, and what is averaged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from isomer.errors import InputError

STABILITY_SEQUENCES = (
    "blackswan",
    "camel",
    "car-roundabout",
    "car-shadow",
    "cows",
    "drift-straight",
    "kite-surf",
    "paragliding-launch",
    "scooter-black",
    "soapbox",
)
"""The DAVIS-2016 sequences over which T is published: those without occlusion or strong deformation."""

Frames = Literal["inner", "all"]


@dataclass(frozen=True)
class Protocol:
    """How figures are arrived at.

    Attributes:
        name: its name on the command line and in every file.
        frames: annotated frames that count for means and curves: all, or the inner ones without the first and
            the last of each sequence.
        trend_frames: annotated frames that count for recall and decay.
        resize: whether a prediction of another size is resized to its annotation, bilinearly; otherwise it is
            an error.
        stretch: whether the saliency measures stretch each map to [0, 1] by its own extremes.
        inclusive_centroid: whether S puts the centroid's row and column into the upper left quadrants.
        stability_sequences: the sequences that T is averaged over; empty for all.
        source: whose protocol it is.
    """

    name: str
    frames: Frames
    trend_frames: Frames
    source: str
    resize: bool = False
    stretch: bool = True
    inclusive_centroid: bool = True
    stability_sequences: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line: frames, thresholds, resizing and averages."""
        ends = {"inner": "without the first and last", "all": "all"}
        parts = [f"annotated frames: {ends[self.frames]}"]
        if self.trend_frames != self.frames:
            parts[0] += f" (recall and decay: {ends[self.trend_frames]})"
        parts += [
            "prediction > 128",
            "annotation > 0 for J, F, T and > 128 for saliency",
            "sizes brought together bilinearly" if self.resize else "sizes must agree",
            "saliency stretched per frame" if self.stretch else "saliency not stretched",
            "curves averaged over frames, then sequences, then their maximum and mean",
            "other figures: mean over sequences",
        ]
        if self.stability_sequences:
            parts.append(f"T over the {len(self.stability_sequences)} sequences it is published on")
        return f"{self.name} ({self.source}): " + "; ".join(parts)

    def as_dict(self) -> dict[str, object]:
        """The protocol's fields, for a file."""
        return asdict(self)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("davis", "inner", "inner", "official DAVIS-2016", stability_sequences=STABILITY_SEQUENCES),
        Protocol("all-frames", "all", "all", "every annotated frame"),
        Protocol(
            "isomer",
            "all",
            "inner",
            "published Isomer repository",
            resize=True,
            stretch=False,
            inclusive_centroid=False,
        ),
        Protocol("vsod", "inner", "inner", "video salient object detection with PySODMetrics' definitions"),
    )
}
"""The protocols by name."""


def get_protocol(protocol: str | Protocol) -> Protocol:
    """Look a protocol up by name.

    Raises:
        InputError: there is none of that name.
    """
    if isinstance(protocol, Protocol):
        return protocol
    if protocol not in PROTOCOLS:
        raise InputError(f"{protocol}: no such protocol; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]

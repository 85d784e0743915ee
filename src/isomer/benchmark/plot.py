"""A picture of where the time goes, with matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isomer.errors import require
from isomer.files import atomic_path


def check_matplotlib() -> None:
    """Raise MissingPackageError if matplotlib is not installed; cheap enough to ask before a long benchmark."""
    require("the plot", "plots", "matplotlib")


def plot_stages(summaries: Sequence[dict[str, Any]], path: str | Path) -> None:
    """Draw the stages of each summary (`Measurement.summary`) as one stacked bar, milliseconds of the mean frame.

    Raises:
        InputError: the file cannot be written.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 1.8 + 0.7 * len(summaries)), layout="constrained")
    names = list(summaries[0]["stages_of_all_frames_ms"])
    left = [0.0] * len(summaries)
    labels = ["\n".join(str(v) for v in (s["configuration"]["model"], _backend(s))) for s in summaries]
    for name in names:
        widths = [summary["stages_of_all_frames_ms"][name] for summary in summaries]
        axes.barh(range(len(summaries)), widths, left=left, label=name)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    paths = [summary["path_ms"]["median"] for summary in summaries]
    axes.plot(paths, range(len(summaries)), "k|", markersize=24, label="whole path, overlapped")
    axes.set_yticks(range(len(summaries)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("ms, the mean over all frames of a stage's median")
    figure.legend(ncols=5, loc="outside lower center", frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
    plt.close(figure)


def _backend(summary: dict[str, Any]) -> str:
    configuration = summary["configuration"]
    names = ("size", "batch", "key_interval")
    return ", ".join([configuration["backend"], *(f"{name.replace('_', ' ')} {configuration[name]}" for name in names)])

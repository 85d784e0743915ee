"""Many videos over Ray: on this machine with no set-up, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from isomer.cluster.crew import Crew
from isomer.cluster.inputs import MANIFEST, find_videos
from isomer.cluster.machines import Resources, import_ray, ray_running
from isomer.cluster.manifest import Manifest, State
from isomer.cluster.plan import Plan, Progress
from isomer.cluster.settings import Settings
from isomer.errors import require
from isomer.files import remove_unfinished, sole_writer
from isomer.media import OUTPUTS
from isomer.media.outputs import warn_of_idle

_PARTS = ".isomer-parts"


@dataclass(frozen=True)
class BatchSummary:
    """What became of a batch.

    Attributes:
        done: videos segmented by this run.
        failed: videos that failed, in this run or, if they were not tried again, before.
        skipped: videos that an earlier run had segmented.
        frames: segmented by this run.
        manifest: the file that tells of each video.
    """

    done: int
    failed: int
    skipped: int
    frames: int
    manifest: Path


def _tidy(plan: Plan, manifest: Manifest, settings: Settings) -> None:
    """Remove what workers that have been ended had begun, and write the manifest if there is anything to tell."""
    for video in plan.begun:
        for path in settings.places(video).values():
            remove_unfinished(path)
    if plan.has_begun:
        manifest.save()


def segment_batch(
    inputs: Sequence[str | Path],
    output: str | Path,
    settings: Settings | None = None,
    resources: Resources | None = None,
    *,
    retry_failed: bool = False,
    started: Callable[[int], object] = lambda videos: None,
    progress: Progress = lambda video, record, left: None,
) -> BatchSummary:
    """Segment many videos; run again, it goes on where it stopped.

    A video that cannot be segmented fails by itself. One whose worker dies is begun again, `retries` times.
    On a cluster all paths must mean the same on all machines.

    Args:
        inputs: see `isomer.cluster.inputs.find_videos`.
        output: folder of the outputs and of `manifest.json`.
        settings: what to make of each video.
        resources: what to run on.
        retry_failed: take up again what failed in an earlier run.
        started: is called with the number of videos to be segmented, once input, output and Ray are found good.
        progress: is called when a video is done or has failed, with the number of those that are left.

    Raises:
        InputError: Ray is not installed, the cluster is not there, an input, setting or output is no good, or
            another batch writes to the output.
    """
    require("isomer batch", "cluster", "ray")
    settings, resources = settings or Settings(), resources or Resources()
    warn_of_idle(settings, [OUTPUTS[kind] for kind in settings.outputs])
    videos = find_videos(inputs, output)
    output = Path(output).absolute()
    with sole_writer(output):
        manifest = Manifest(output / MANIFEST, settings.made_with())
        import_ray(resources)
        pending = manifest.open(videos, retry_failed=retry_failed)
        if pending:
            plan = Plan(pending, manifest, settings.shard, resources.retries, output / _PARTS, progress)
            with ExitStack() as ends, ray_running(resources):  # before anything is written
                ends.callback(_tidy, plan, manifest, settings)
                started(len(pending))
                Crew(settings, resources).work_off(plan)
                plan.remove_parts()
    states = [manifest[video].state for video in videos]
    tried = [manifest[video] for video in pending]
    done = [record for record in tried if record.state is State.done]
    return BatchSummary(
        done=len(done),
        failed=states.count(State.failed),
        skipped=states.count(State.done) - len(done),
        frames=sum(record.frames for record in done),
        manifest=manifest.path,
    )

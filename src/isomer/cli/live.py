"""Segment a camera, a stream or a file as it plays: frames are dropped rather than delayed.

Without -o and --show it only measures: frames per second and latency are printed at the end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_flow_argument, add_model_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("source", metavar="SOURCE", help="a file, a camera's number such as 0, or a URL")
    parser.add_argument("-o", dest="out", type=Path, metavar="OUT", help="write the overlay here (.mp4)")
    parser.add_argument("--show", action="store_true", help="show the overlay in a window; Esc ends")
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        metavar="S",
        help="stop after S seconds (default: at the end)",
    )
    add_model_arguments(parser)
    add_flow_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Segment until the source, the time or the user ends it, and print the latency."""
    from contextlib import ExitStack, closing, suppress

    import numpy as np

    from isomer.errors import InputError
    from isomer.flow import create_flow
    from isomer.media import OUTPUTS, open_output
    from isomer.media.live import OverlayWindow, open_live
    from isomer.segment import Segmenter

    source = open_live(arguments.source)
    # Nothing works ahead, the flow looks one frame ahead at most, no map waits for a later one: what waits is late.
    segmenter = Segmenter(
        arguments.model,
        size=arguments.size,
        backend=arguments.backend,
        device=arguments.device,
        flow=create_flow(arguments.flow),
        max_step=1,
        key_interval=1,
        smoothing=0,
        ahead=0,
    )
    segmenter.warm_up(*source.size)
    latencies = []
    with ExitStack() as stack:
        window = stack.enter_context(closing(OverlayWindow())) if arguments.show else None
        overlay = open_output(OUTPUTS["overlay"], arguments.out, source) if arguments.out else None
        writer = stack.enter_context(overlay) if overlay else None
        results = stack.enter_context(closing(segmenter(source)))
        with suppress(KeyboardInterrupt):  # how a person ends a camera
            for result in results:
                if writer:
                    writer.write(result)
                is_wanted = window is None or window.show(result)
                latencies.append(source.age(result))
                if not is_wanted or result.time >= arguments.seconds:
                    break
        if not latencies:
            raise InputError(f"{arguments.source}: gave no frame; check the source")
        seconds = result.time
    median, p95 = np.percentile(latencies, (50, 95)) * 1000
    print(
        f"{len(latencies)} of {source.arrived} frames, {len(latencies) / max(seconds, 1e-9):.1f} a second; "
        f"latency {median:.0f} ms (median), {p95:.0f} ms (95th percentile)"
        + (f"; wrote {arguments.out}" if arguments.out else "")
    )
    return 0

"""Segment a camera, a stream or a file as it plays: frames are dropped rather than delayed.

Without -o and --show it only measures: frames per second and latency are printed at the end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from isomer.cli._options import add_options, chosen, report
from isomer.options import Options, VideoOptions

# Nothing works ahead, the flow looks one frame ahead at most, no map waits for a later one: what waits is late.
_PROMPT = {"max_step": 1, "key_interval": 1, "smoothing": 0.0, "passes": 1, "batch": 1, "ahead": 0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("source", metavar="SOURCE", help="a file, a camera's number such as 0, or a URL")
    parser.add_argument(
        "-o", dest="out", type=Path, metavar="OUT", help="file or folder to write (default: nothing is written)"
    )
    parser.add_argument("--show", action="store_true", help="show the overlay in a window; Esc ends")
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        metavar="S",
        help="stop after S seconds (default: at the end)",
    )
    # Frames are dropped as they must be, and who is who in all of it nobody knows yet.
    add_options(parser, VideoOptions, without=(*_PROMPT, "stride", "audio", "keep", "drop"))


def run(arguments: argparse.Namespace) -> int:
    """Segment until the source, the time or the user ends it, and print the latency."""
    from contextlib import ExitStack, closing, suppress

    import numpy as np

    from isomer.errors import InputError
    from isomer.media import Look, find_output, open_outputs, output_paths
    from isomer.media.live import OverlayWindow, open_live
    from isomer.segment import Segmenter

    options = chosen(VideoOptions, arguments)
    source = open_live(arguments.source, arguments.seconds, options.max_pixels)
    kinds = [find_output(kind) for kind in dict.fromkeys(options.outputs)] if arguments.out else []
    paths = output_paths(source, arguments.out, kinds) if arguments.out else ()
    look = Look.asked_for(options, source)
    latencies = []
    with ExitStack() as stack:
        writers = stack.enter_context(open_outputs(zip(kinds, paths, strict=True), source, look))
        window = stack.enter_context(closing(OverlayWindow(look))) if arguments.show else None
        segmenter = Segmenter(**options.of(Options) | _PROMPT)
        segmenter.warm_up(*source.size)
        results = stack.enter_context(closing(segmenter(source, options.threshold if options.objects else None)))
        with suppress(KeyboardInterrupt):  # how a person ends a camera
            for result in results:
                for writer in writers:
                    writer.write(result)
                is_wanted = window is None or window.show(result)
                latencies.append(source.age(result))
                if not is_wanted:
                    break
        if not latencies:
            raise InputError(f"{arguments.source}: gave no frame; check the source")
        seconds = result.time
    median, p95 = np.percentile(latencies, (50, 95)) * 1000
    report(
        arguments,
        f"{len(latencies)} of {source.arrived} frames, {len(latencies) / max(seconds, 1e-9):.1f} a second; "
        f"latency {median:.0f} ms (median), {p95:.0f} ms (95th percentile)"
        + (f"; wrote {', '.join(map(str, paths))}" if paths else ""),
    )
    return 0

"""All that is looked at, in order. Nothing is imported before its turn: what is broken is a finding as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from isomer.doctor.finding import Finding, State
from isomer.errors import how_to_install
from isomer.options import BACKENDS


def examine() -> Iterator[Finding]:
    """Look at everything, one thing after the other."""
    from isomer.doctor.installation import codecs, opencv, packages
    from isomer.doctor.machine import cache, gpu, limits
    from isomer.doctor.self_test import back_end

    yield _found("packages", packages)
    yield _found("opencv", opencv)
    yield _found("codecs", codecs)
    back_ends = []
    for name in BACKENDS[1:]:  # the first one chooses
        back_ends.append(_found(name, partial(back_end, name)))
        yield back_ends[-1]
    if all(found.state is State.absent for found in back_ends):
        yield Finding(
            "runtime", State.wrong, "nothing that runs the network is installed; see what the lines above say"
        )
    yield _found("gpu", gpu)
    yield _found("cache", cache)
    yield _found("limits", limits)


def _found(name: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except ModuleNotFoundError as error:
        return Finding(name, State.wrong, f"{error}; {how_to_install()}")
    except Exception as error:  # of damaged packages, whatever they raise
        return Finding(name, State.wrong, f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")

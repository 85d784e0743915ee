"""What this machine gives to this process."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
# Of control groups, version 2 and 1, as a container sees its own.
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def processor() -> str:
    """Name the processor."""
    lines = _CPU_INFO.read_text().splitlines() if _CPU_INFO.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def memory() -> int | None:
    """Return how many bytes this process may take, by the least of all limits; None where nothing says."""
    limits = [_limit("RLIMIT_AS"), *map(_number_in, _MEMORY_LIMITS)]
    if sys.platform != "win32":
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min((limit for limit in limits if limit is not None), default=None)


def open_files() -> int | None:
    """Return how many files this process may have open; None where there is no limit."""
    return _limit("RLIMIT_NOFILE")


def file_size() -> int | None:
    """Return how many bytes a file that this process writes may have; None where there is no limit."""
    return _limit("RLIMIT_FSIZE")


def _limit(name: str) -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    soft, _ = resource.getrlimit(getattr(resource, name))
    return None if soft == resource.RLIM_INFINITY else soft


def _number_in(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None  # "max" is none

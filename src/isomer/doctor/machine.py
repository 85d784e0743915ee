"""What the machine has: a GPU, a folder to keep networks in, and limits."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

from isomer import machine
from isomer.doctor.finding import Finding, State
from isomer.errors import how_to_install


def gpu() -> Finding:
    """Tell whether PyTorch, the one back end that can, would use a GPU, and if not, why."""
    from isomer.runtime.choice import has_gpu_driver

    if not has_gpu_driver():
        return Finding("gpu", State.absent, "no driver of one is here")
    if find_spec("torch") is None:
        return Finding("gpu", State.absent, f"a driver is here, but not PyTorch; {how_to_install('torch')}")
    import torch

    from isomer.runtime.pytorch import best_device

    device = best_device()
    if device == "cuda":
        return Finding("gpu", State.ok, f"{torch.cuda.get_device_name()}, by PyTorch {torch.__version__}")
    if device == "mps":
        return Finding("gpu", State.ok, f"Apple's, by PyTorch {torch.__version__}")
    if torch.version.cuda is None and torch.version.hip is None:
        says = f"PyTorch {torch.__version__} is built for processors alone; install the build that PyTorch's site names"
        return Finding("gpu", State.absent, says)
    return Finding("gpu", State.wrong, f"PyTorch {torch.__version__} cannot use it: {_why_no_cuda()}")


def cache() -> Finding:
    """Tell where converted and compiled networks are kept, and how much that is."""
    from isomer.runtime.cache import cache_folder

    folder = cache_folder()
    if folder is None:
        says = "no folder can be written to, so every start compiles the network; set XDG_CACHE_HOME to one that can"
        return Finding("cache", State.wrong, says)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    free = shutil.disk_usage(folder).free
    return Finding(
        "cache",
        State.ok,
        f"{folder}, writable, holds {_bytes(size)}, {_bytes(free)} free",
        {"folder": str(folder), "bytes": size, "free_bytes": free},
    )


def limits() -> Finding:
    """Tell what this process may take."""
    found = {
        "cores": machine.usable_cores(),
        "memory_bytes": machine.memory(),
        "open_files": machine.open_files(),
        "file_bytes": machine.file_size(),
    }
    memory, files, size = (found[name] for name in ("memory_bytes", "open_files", "file_bytes"))
    says = [
        f"{found['cores']} of {os.cpu_count()} cores",
        f"{_bytes(memory)} of memory" if memory else "memory unknown",
        f"{files:,} open files" if files else "any number of open files",
        f"files of {_bytes(size)}" if size else "files of any size",
    ]
    return Finding("limits", State.ok, ", ".join(says), found)


def _why_no_cuda() -> str:
    """Return the first line of what CUDA's start says; ROCm's is the same to PyTorch."""
    import torch

    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (AssertionError, RuntimeError) as error:
        return str(error).splitlines()[0]
    return "it finds none"


def _bytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"

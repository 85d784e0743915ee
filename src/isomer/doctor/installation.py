"""What is installed: packages in the versions that Isomer asks for, one OpenCV, FFmpeg's codecs."""

from __future__ import annotations

import re
from importlib import metadata
from importlib.util import find_spec

from isomer.doctor.finding import Finding, State
from isomer.errors import MissingPackageError, how_to_install

_NAMED = ("av", "numpy", "openvino", "onnxruntime", "torch")
"""Whose versions are said; those of all others are in the details."""

_OPENCVS = ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python")
"""The packages that bring `cv2`, the one that Isomer asks for first. Each overwrites and removes the others' files."""

_ENCODERS = {
    "H.264": "libx264",
    "HEVC": "libx265",
    "VP9": "libvpx-vp9",
    "ProRes": "prores_ks",
    "WebP": "libwebp",
    "GIF": "gif",
    "AAC": "aac",
    "Opus": "libopus",
}
"""What writes the outputs, by their formats."""

_DECODERS = {
    "H.264": ("h264",),
    "HEVC": ("hevc",),
    "VP8": ("vp8",),
    "VP9": ("vp9",),
    "AV1": ("libdav1d", "libaom-av1"),  # FFmpeg's own needs a GPU
    "MPEG-4": ("mpeg4",),
    "MPEG-2": ("mpeg2video",),
    "ProRes": ("prores",),
    "MJPEG": ("mjpeg",),
}
"""What reads common videos, by their formats; any one of several will do."""


def packages() -> Finding:
    """Hold what is installed against the versions that Isomer asks for."""
    import av

    needed = _needed()
    versions = {name: version for name in sorted({*_NAMED, *needed}) if (version := _version(name))}
    unfit = [_unfit(name, versions[name]) for name in versions if not _fits(versions[name], needed.get(name, ""))]
    named = [f"{name} {versions[name]}" for name in _NAMED if name in versions]
    return Finding(
        "packages",
        State.wrong if unfit else State.ok,
        "; ".join(unfit) if unfit else f"{', '.join(named)}; FFmpeg {av.ffmpeg_version_info}",
        {"versions": versions, "ffmpeg": av.ffmpeg_version_info},
    )


def check_opencv() -> str | None:
    """Return what smells about the OpenCV that is installed, in one line; None where nothing does.

    It is not imported: that takes a tenth of a second.

    Raises:
        MissingPackageError: there is none that could be imported.
    """
    spec = find_spec("cv2")
    installed = [name for name in _OPENCVS if _version(name)]
    if spec is None or spec.origin is None:  # a folder without code is what one of several leaves when it is removed
        raise MissingPackageError(
            f"OpenCV is {'damaged' if spec or installed else 'not installed'}; {_reinstall(installed)}"
        )
    if len(installed) > 1:
        return f"{' and '.join(installed)} overwrite each other's files; {_reinstall(installed)}"
    return None


def opencv() -> Finding:
    """Tell which package `cv2` comes from, and whether it is the only one and fits."""
    try:
        smell = check_opencv()
    except MissingPackageError as error:
        return Finding("opencv", State.wrong, str(error))
    import cv2

    source = _source_of_cv2()
    says = f"{cv2.__version__}, of {source}"
    if smell is None and not _fits(cv2.__version__, _needed().get(_OPENCVS[0], "")):
        smell = _unfit(_OPENCVS[0], cv2.__version__)
    return Finding(
        "opencv",
        State.wrong if smell else State.ok,
        f"{says}: {smell}" if smell else says,
        {"version": cv2.__version__, "source": source, "file": cv2.__file__},
    )


def codecs() -> Finding:
    """Look for FFmpeg's encoders that outputs need, and for decoders of common videos."""
    import av

    available = av.codecs_available
    unwritten = [name for name, encoder in _ENCODERS.items() if encoder not in available]
    unread = [name for name, decoders in _DECODERS.items() if available.isdisjoint(decoders)]
    missing = [f"cannot {verb} {', '.join(names)}" for verb, names in (("write", unwritten), ("read", unread)) if names]
    return Finding(
        "codecs",
        State.wrong if missing else State.ok,
        f"FFmpeg {' and '.join(missing)}; run: pip install --force-reinstall --no-deps --only-binary av av"
        if missing
        else f"writes {', '.join(_ENCODERS)}; reads {', '.join(_DECODERS)}",
        {"unwritten": unwritten, "unread": unread},
    )


def _source_of_cv2() -> str:
    """Name the package that the imported `cv2` comes from, by what its builds say of themselves."""
    import cv2

    build = getattr(cv2, "version", None)
    if build is None:
        return f"no package of PyPI ({cv2.__file__})"
    name = f"opencv-{'contrib-' if build.contrib else ''}python{'-headless' if build.headless else ''}"
    return f"{name} {build.opencv_version}"


def _needed() -> dict[str, str]:
    """Return the ranges of versions that Isomer asks for, such as `<3,>=2.0`; none where it runs uninstalled."""
    try:
        requirements = metadata.requires("isomer-vos") or []
    except metadata.PackageNotFoundError:
        return {}
    parsed = (re.match(r"([\w.-]+)(?:\[[^]]*\])?([^;]*)", requirement) for requirement in requirements)
    return {match[1]: match[2].strip() for match in parsed if match}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _fits(version: str, needed: str) -> bool:
    """Tell whether a version is in a range of `>=` and `<`, by the numbers of releases."""
    bounds = re.findall(r"(>=|<)\s*([\d.]+)", needed)
    return all((_release(version) >= _release(bound)) == (sign == ">=") for sign, bound in bounds)


def _release(version: str) -> tuple[int, ...]:
    numbers = re.match(r"[\d.]*\d", version)
    return tuple(map(int, numbers[0].split("."))) if numbers else ()


def _unfit(name: str, version: str) -> str:
    needed = _needed()[name]
    return f'{name} is {version}, not {needed}; run: pip install "{name}{needed}"'


def _reinstall(installed: list[str]) -> str:
    removal = f"run: pip uninstall -y {' '.join(installed)}; then, " if installed else ""
    return f"{removal}{how_to_install()}"

"""Decoded pictures as the RGB that ordinary screens show: HDR toned down, an unstated matrix guessed as players do."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

# Numbers of ITU-T H.273, as FFmpeg has them
_BT709, _BT601, _BT2020 = 1, 6, 9
_KNOWN_MATRICES = frozenset({_BT709, 4, 5, _BT601, 7, _BT2020})  # to FFmpeg's conversion
_BT2020_CONSTANT_LUMINANCE = 10
_UNSPECIFIED = 2
_PQ, _HLG = 16, 18

_HD_LINES = 720

_WHITE = 100.0
"""Nits of HDR that SDR shows as white, but for the highlights' sake."""
_PEAK = 1000.0 / _WHITE
"""Light that is shown as the brightest white, in that of `_WHITE`."""
_KNEE = 0.85
"""Light up to which nothing is toned down, in that of `_WHITE`."""
_ROWS = 16  # so many at once stay in the cache

_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
"""Linear RGB of BT.2020 to that of BT.709; Recommendation ITU-R BT.2087, annex 1."""


class RGBConverter:
    """Converts the pictures of one video to uint8 RGB [height, width, 3]; those of another size are scaled.

    Args:
        width: of the result.
        height: of the result.
        alpha: convert to RGBA [height, width, 4].
    """

    def __init__(self, width: int, height: int, *, alpha: bool = False) -> None:
        self._size = (width, height)
        self._formats = ("rgba", "rgba64le") if alpha else ("rgb24", "rgb48le")
        self._reformatter = VideoReformatter()

    def __call__(self, picture: VideoFrame) -> NDArray[np.uint8]:
        """Return a picture, whose tags are made plain, as SDR; HDR is what has a transfer of BT.2100."""
        light = hdr_light(picture.color_trc)
        picture.colorspace = _matrix(picture, is_hdr=light is not None)
        # PyAV 17 has FFmpeg convert what it need not, which refuses rare kinds.
        picture.color_trc = picture.color_primaries = _UNSPECIFIED
        if light is None:
            return np.asarray(self._reformat(picture, self._formats[0], Interpolation.BILINEAR), np.uint8)
        # FFmpeg 8.0 overflows in this conversion where it interpolates linearly.
        code = self._reformat(picture, self._formats[1], Interpolation.BICUBIC)
        alpha = np.asarray(code[..., 3:] >> 8, np.uint8)
        return np.concatenate((to_sdr(code[..., :3], light), alpha), axis=2)

    def _reformat(self, picture: VideoFrame, pixel_format: str, interpolation: Interpolation) -> NDArray[Any]:
        rgb = self._reformatter.reformat(picture, *self._size, pixel_format, interpolation=interpolation, threads=1)
        return np.asarray(rgb.to_ndarray())


def _matrix(picture: VideoFrame, is_hdr: bool) -> int:
    """The matrix that a picture states or, where it states none that FFmpeg converts, that players take."""
    if picture.colorspace in _KNOWN_MATRICES:
        return picture.colorspace
    if is_hdr or picture.colorspace == _BT2020_CONSTANT_LUMINANCE:
        return _BT2020
    return _BT709 if picture.height >= _HD_LINES else _BT601


def to_sdr(code: NDArray[np.uint16], light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Tone down HDR: light is kept up to a knee, and all that is brighter goes between it and white.

    The curve is Möbius', as in FFmpeg's `tonemap`; the brightest channel goes along it and takes the others with
    it, which keeps the hue. SDR screens show light as the power 2.4 of the code (BT.1886).

    Args:
        code: R'G'B' of BT.2020, [H, W, 3].
        light: of each code, 1 is the white of SDR.

    Returns:
        R'G'B' of BT.709, [H, W, 3].
    """
    image = np.empty(code.shape, np.uint8)
    for top in range(0, len(code), _ROWS):
        linear = np.asarray(cv2.transform(light.take(code[top : top + _ROWS]), _TO_BT709), np.float32)
        red, green, blue = cv2.split(linear)
        gain = _gain(np.asarray(cv2.max(cv2.max(red, green), blue), np.float32))
        roots = np.sqrt(np.clip(linear * gain[..., None], 0, 1))
        image[top : top + _ROWS] = _CODE_OF_ROOT.take((roots * 65535).astype(np.uint16))
    return image


def _gain(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what light is multiplied with to be toned down."""
    a = -(_KNEE**2) * (_PEAK - 1) / (_KNEE**2 - 2 * _KNEE + _PEAK)
    b = (_KNEE**2 - 2 * _KNEE * _PEAK + _PEAK) / (_PEAK - 1)
    scale = (b**2 + 2 * b * _KNEE + _KNEE**2) / (b - a)
    bright = np.maximum(light, _KNEE)
    return np.asarray(scale * (bright + a) / ((bright + b) * bright), np.float32)


def _pq_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of codes in [0, 1], in nits: SMPTE ST 2084, BT.2100 table 4."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = code ** (1 / m2)
    return np.asarray(10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1))


def _hlg_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of codes in [0, 1] on a screen of 1000 nits: BT.2100 table 5.

    The screen's gamma of 1.2 is applied to each channel, as it is in SDR: applied to the luminance alone, as
    BT.2100 has it, colours are paler than those that the same camera gives in SDR.
    """
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return np.asarray(1000 * scene**1.2)


_CODES = np.linspace(0, 1, 65536)
_CODE_OF_ROOT = np.rint(255 * _CODES ** (2 / 2.4)).astype(np.uint8)
_LIGHT_OF_CODE = {_PQ: _pq_light, _HLG: _hlg_light}


@cache
def hdr_light(transfer: int) -> NDArray[np.float32] | None:
    """Light of each of 65536 codes, 1 is the white of SDR; None if the transfer, a number of H.273, is not of HDR."""
    light = _LIGHT_OF_CODE.get(transfer)
    return None if light is None else (light(_CODES) / _WHITE).astype(np.float32)

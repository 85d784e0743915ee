"""Decoded pictures as the RGB that ordinary screens show: HDR toned down, an unstated matrix guessed as players do.

And as they are: at their depth, in their own colours, which `Tags` tell.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

# Numbers of ITU-T H.273, as FFmpeg has them
_BT709, _BT601, _BT2020, _P3 = 1, 6, 9, 12
_KNOWN_MATRICES = frozenset({_BT709, 4, 5, _BT601, 7, _BT2020})  # to FFmpeg's conversion
_BT2020_CONSTANT_LUMINANCE = 10
_UNSPECIFIED = 2
_PRIMARIES, _TRANSFERS = frozenset({_BT709, *range(4, 13)}), frozenset({_BT709, *range(4, 19)})  # that encoders know
_PQ, _HLG = 16, 18

_HD_LINES = 720

_WHITE = 100.0
"""Nits of HDR that SDR shows as white, but for the highlights' sake."""
_PEAK = 1000.0 / _WHITE
"""Light that is shown as the brightest white, in that of `_WHITE`."""
_KNEE = 0.85
"""Light up to which nothing is toned down, in that of `_WHITE`."""
_ROWS = 16  # so many at once stay in the cache

_CHROMATICITIES = {
    _BT709: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    _BT2020: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    _P3: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""Of red, green and blue; H.273, table 2. Other primaries are close to those of BT.709."""
_D65 = (0.3127, 0.3290)


class Tags(NamedTuple):
    """What a video says of its colours: numbers of ITU-T H.273.

    Attributes:
        primaries: of red, green and blue.
        transfer: from code to light.
        matrix: from R'G'B' to what is stored.
    """

    primaries: int = _BT709
    transfer: int = _BT709
    matrix: int = _BT709


class Deep(NamedTuple):
    """A frame at the depth of its source.

    Attributes:
        image: R'G'B', uint16 [H, W, 3] from 0 to 65535, upright.
        tags: what its codes mean.
    """

    image: NDArray[np.uint16]
    tags: Tags


def tags_of(picture: VideoFrame) -> Tags:
    """Return the tags of a decoded picture; what it does not state is as players take it."""
    is_hdr = hdr_light(picture.color_trc) is not None
    primaries, transfer = picture.color_primaries, picture.color_trc
    return Tags(
        primaries if primaries in _PRIMARIES else _BT2020 if is_hdr else _BT709,
        transfer if transfer in _TRANSFERS else _BT709,
        _matrix(picture, is_hdr),
    )


def is_deep(picture: VideoFrame) -> bool:
    """Whether 8 bits of BT.709 do not hold all that a decoded picture shows."""
    tags = tags_of(picture)
    bits = max(component.bits for component in picture.format.components)
    return bits > 8 or hdr_light(tags.transfer) is not None or _to_bt709(tags.primaries) is not None


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
        """Return a picture as SDR of BT.709; its tags are made plain."""
        tags = tags_of(picture)
        picture.colorspace = tags.matrix
        # PyAV 17 has FFmpeg convert what it need not, which refuses rare kinds.
        picture.color_trc = picture.color_primaries = _UNSPECIFIED
        light = hdr_light(tags.transfer)
        if light is None and _to_bt709(tags.primaries) is None:
            return np.asarray(self._reformat(picture, self._formats[0], Interpolation.BILINEAR), np.uint8)
        # FFmpeg 8.0 overflows in this conversion where it interpolates linearly.
        code = self._reformat(picture, self._formats[1], Interpolation.BICUBIC)
        alpha = np.asarray(code[..., 3:] >> 8, np.uint8)
        return np.concatenate((to_sdr(code[..., :3], tags), alpha), axis=2)

    def deep(self, picture: VideoFrame) -> NDArray[np.uint16]:
        """Return a picture that was converted to SDR before as R'G'B' in its own colours, uint16 [height, width, 3]."""
        return np.asarray(self._reformat(picture, "rgb48le", Interpolation.BICUBIC), np.uint16)

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


def to_sdr(code: NDArray[np.uint16], tags: Tags) -> NDArray[np.uint8]:
    """Show wide colours on an SDR screen, and tone down HDR: light is kept up to a knee, all above goes below white.

    The curve is Möbius', as in FFmpeg's `tonemap`; the brightest channel goes along it and takes the others with
    it, which keeps the hue. SDR screens show light as the power 2.4 of the code (BT.1886).

    Args:
        code: R'G'B', [H, W, 3].
        tags: what the codes mean.

    Returns:
        R'G'B' of BT.709, [H, W, 3].
    """
    light, matrix = hdr_light(tags.transfer), _to_bt709(tags.primaries)
    curve = _SDR_LIGHT if light is None else light
    image = np.empty(code.shape, np.uint8)
    for top in range(0, len(code), _ROWS):
        linear = _linear(code[top : top + _ROWS], curve, matrix)
        if light is not None:
            red, green, blue = cv2.split(linear)
            linear *= _gain(np.asarray(cv2.max(cv2.max(red, green), blue), np.float32))[..., None]
        roots = np.sqrt(np.clip(linear, 0, 1))
        image[top : top + _ROWS] = _CODE_OF_ROOT.take((roots * 65535).astype(np.uint16))
    return image


def from_sdr(image: NDArray[np.uint8], tags: Tags) -> NDArray[np.uint16]:
    """Return R'G'B' of BT.709, uint8 [H, W, 3], as codes of other colours that show the same light."""
    matrix = _to_bt709(tags.primaries)
    if matrix is None and hdr_light(tags.transfer) is None:
        return np.asarray(image * np.uint16(257), np.uint16)
    light = _SDR_LIGHT[::257].take(image)
    if matrix is not None:
        light = np.clip(cv2.transform(light, np.linalg.inv(matrix)), 0, 1)
    roots = (np.sqrt(light) * 65535).astype(np.uint16)
    return np.asarray(_code_of_root(tags.transfer).take(roots), np.uint16)


def linear_light(code: NDArray[np.unsignedinteger[Any]], tags: Tags) -> NDArray[np.float32]:
    """Return the light of R'G'B', uint8 or uint16 [H, W, 3], as linear RGB of BT.709; 1 is the white of SDR."""
    light = hdr_light(tags.transfer)
    curve = _SDR_LIGHT if light is None else light
    return _linear(code, curve[::257] if code.dtype == np.uint8 else curve, _to_bt709(tags.primaries))


def _linear(
    code: NDArray[np.unsignedinteger[Any]], curve: NDArray[np.float32], matrix: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    light = curve.take(code)
    return light if matrix is None else np.asarray(cv2.transform(light, matrix), np.float32)


@cache
def _to_bt709(primaries: int) -> NDArray[np.float32] | None:
    """The matrix from linear RGB to that of BT.709; None where that is near enough."""
    if primaries == _BT709 or primaries not in _CHROMATICITIES:
        return None
    return np.asarray(np.linalg.solve(_to_xyz(_BT709), _to_xyz(primaries)), np.float32)


def _to_xyz(primaries: int) -> NDArray[np.float64]:
    """The matrix from linear RGB to CIE XYZ; SMPTE RP 177."""
    x, y = np.array(_CHROMATICITIES[primaries]).T
    columns = np.stack((x, y, 1 - x - y)) / y
    white = np.array([_D65[0], _D65[1], 1 - sum(_D65)]) / _D65[1]
    return np.asarray(columns * np.linalg.solve(columns, white))


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
_SDR_LIGHT = (_CODES**2.4).astype(np.float32)
_LIGHT_OF_CODE = {_PQ: _pq_light, _HLG: _hlg_light}


@cache
def hdr_light(transfer: int) -> NDArray[np.float32] | None:
    """Light of each of 65536 codes, 1 is the white of SDR; None if the transfer, a number of H.273, is not of HDR."""
    light = _LIGHT_OF_CODE.get(transfer)
    return None if light is None else (light(_CODES) / _WHITE).astype(np.float32)


@cache
def _code_of_root(transfer: int) -> NDArray[np.uint16]:
    """The code of light whose root, in that of the white of SDR, is one of 65536; the inverse of `hdr_light`."""
    light = hdr_light(transfer)
    curve = _SDR_LIGHT if light is None else light
    return np.rint(np.interp(_CODES**2, curve, 65535 * _CODES)).astype(np.uint16)

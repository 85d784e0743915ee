"""When the pictures of a video are shown, found as the ffmpeg program finds it."""

from __future__ import annotations

from fractions import Fraction

from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from isomer.media.demux import has_flag
from isomer.media.extent import mean_rate

_JUMP = 10.0
"""Seconds by which a stamp may miss what is expected before the clock has jumped; ffmpeg's -dts_delta_threshold."""
_STEP_BACK = 0.1
"""Seconds by which the clock may go back before it has jumped."""
_ABSURD = 30 * 3600.0
"""Seconds by which a stamp may miss what is expected before it is no stamp; ffmpeg's -dts_error_threshold."""


class PacketClock:
    """Mends the time stamps of packets where the clock of a file jumps.

    Joined recordings and broadcasts start their clock anew. In formats that allow for it the stamps behind a jump
    are shifted so that time goes on, for all streams alike; in the others a jump is a pause, and only stamps that
    cannot be are dropped. These are ffmpeg's rules, `ts_discontinuity_process` in fftools/ffmpeg_demux.c.
    """

    def __init__(self, container: InputContainer) -> None:
        self._may_jump = has_flag(container, Flags.ts_discont)
        self._ticks = {s.index: float(s.time_base or 0) for s in container.streams if s.type in ("audio", "video")}
        self._steps = {s.index: float(1 / mean_rate(container, s)) for s in container.streams.video}
        self._shift = 0.0  # all in seconds from here
        self._latest: float | None = None  # of any stream
        self._decoded: dict[int, float] = {}  # by stream: when the last packet is decoded
        self._expected: dict[int, float] = {}  # by stream: when the next one should be

    def mend(self, packet: Packet[Stream]) -> None:
        """Mend the stamps of the next packet of the file, in place."""
        index, tick = packet.stream_index, self._ticks.get(packet.stream_index)
        if not tick:
            return
        _shift(packet, self._shift / tick)
        if packet.dts is not None:
            (self._follow if self._may_jump else self._drop)(packet, index, tick)
        if packet.dts is not None:
            self._latest = self._decoded[index] = self._expected[index] = packet.dts * tick
        if index in self._expected:
            self._expected[index] += packet.duration * tick if packet.duration else self._steps.get(index, 0.0)

    def _follow(self, packet: Packet[Stream], index: int, tick: float) -> None:
        assert packet.dts is not None
        decoded = packet.dts * tick
        expected = self._expected.get(index, self._latest)
        if expected is None:
            return
        goes_back = decoded + _STEP_BACK < self._decoded.get(index, decoded)
        if goes_back or abs(decoded - expected) > _JUMP:
            self._shift -= decoded - expected
            _shift(packet, (expected - decoded) / tick)

    def _drop(self, packet: Packet[Stream], index: int, tick: float) -> None:
        expected = self._expected.get(index)
        if expected is None:
            return
        if packet.dts is not None and abs(packet.dts * tick - expected) > _ABSURD:
            packet.dts = None
        if packet.pts is not None and abs(packet.pts * tick - expected) > _ABSURD:
            packet.pts = None


def _shift(packet: Packet[Stream], ticks: float) -> None:
    shift = round(ticks)
    if shift and packet.dts is not None:
        packet.dts += shift
    if shift and packet.pts is not None:
        packet.pts += shift


class PictureClock:
    """Tells when decoded pictures are shown, also where stamps are missing, repeat or count in the order of decoding.

    Args:
        time_base: of the stamps, in seconds.
        fps: mean frames a second, for want of anything better.
    """

    def __init__(self, time_base: Fraction, fps: Fraction) -> None:
        self._tick = float(time_base)
        self._mean = float(1 / fps) / self._tick
        self._first: float | None = None  # in ticks, as the next two
        self._stamp = 0.0
        self._step = 0.0  # to the next stamp, for want of one
        self._time = float("-inf")
        self._shown, self._decoded = _Order(), _Order()

    @property
    def start(self) -> float:
        """Second of the file's clock at which the first picture is shown, once that is read."""
        return (self._first or 0.0) * self._tick

    def read(self, picture: VideoFrame) -> tuple[float, float]:
        """Read the next picture's stamps.

        Returns:
            time: seconds since the first picture, more than the last one's.
            duration: seconds for which the picture says, or seems, to stay.
        """
        stamp = self._best_stamp(picture)
        if stamp is None:
            stamp = self._stamp + self._step  # 0 before the first
        if self._first is None:
            self._first = self._stamp = stamp
        interval, self._stamp = max(stamp - self._stamp, 0), stamp
        time = (stamp - self._first) * self._tick
        self._time = time if time > self._time else self._time + self._step * self._tick
        # FFmpeg makes up a duration of one tick for want of another.
        stated = max(interval, 1) if picture.duration == 1 else picture.duration
        self._step = stated or interval or self._mean
        return self._time, self._step * self._tick

    def _best_stamp(self, picture: VideoFrame) -> float | None:
        """The stamp of showing or of decoding, whichever went back less often; FFmpeg's `guess_correct_pts`."""
        shown, decoded = picture.pts, picture.dts
        self._decoded.add(shown if decoded is None else decoded, counts=decoded is not None)
        self._shown.add(decoded if shown is None else shown, counts=shown is not None)
        is_shown_better = decoded is None or self._shown.faults <= self._decoded.faults
        return shown if is_shown_better and shown is not None else decoded


class _Order:
    """Counts how often stamps do not increase."""

    def __init__(self) -> None:
        self.faults = 0
        self._last = float("-inf")

    def add(self, stamp: int | None, counts: bool) -> None:
        if stamp is not None:
            self.faults += counts and stamp <= self._last
            self._last = stamp

"""A recording as a waveform: how loud each part of it is."""

from __future__ import annotations

import array
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from pbxtrack.recordings.files import Recording
from pbxtrack.recordings.formats import Coding, Sound

MOST = 600
"""Peaks of a recording at most."""

_BLOCK = 32 * 1024  # bytes that are read of a part; of hours, only the beginning of each part is


@dataclass(frozen=True, slots=True)
class Waveform:
    """``seconds`` of sound, in parts of the same length, with the loudest sample of each: 0 to 1."""

    seconds: float
    peaks: list[float]


def waveform(recording: Recording) -> Waveform:
    """Read it; needs a recording with ``sound``. Raises OSError. Blocks: some 0.1 s for an hour."""
    assert recording.sound is not None
    with recording.path.open("rb") as file:
        return _waveform(file, recording.sound)


def _waveform(file: BinaryIO, sound: Sound) -> Waveform:
    loudest = _loudest(sound)
    parts = min(MOST, sound.frames)
    most = max(_BLOCK // sound.frame, 1)
    peaks = []
    for part in range(parts):
        first, end = (sound.frames * edge // parts for edge in (part, part + 1))
        file.seek(sound.start + first * sound.frame)
        data = file.read(min(end - first, most) * sound.frame)
        peaks.append(round(min(loudest(data), 1.0), 3))
    return Waveform(round(sound.frames / sound.rate, 3), peaks)


def _loudest(sound: Sound) -> Callable[[bytes], float]:
    if sound.coding is Coding.LINEAR:
        return _of_16_bits if sound.width == 2 else _of_8_bits
    steps, values = (_ALAW_STEPS, _ALAW) if sound.coding is Coding.ALAW else (_ULAW_STEPS, _ULAW)
    return lambda data: values[max(data.translate(steps))] if data else 0.0


def _of_16_bits(data: bytes) -> float:
    samples = array.array("h", data[: len(data) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return max(max(samples), -min(samples)) / 32_767 if samples else 0.0


def _of_8_bits(data: bytes) -> float:
    return max(max(data) - 128, 128 - min(data)) / 128 if data else 0.0


# ITU-T G.711: 8 segments of 16 steps and a sign. The number of a step, without the sign, grows with its loudness.
_ULAW_STEPS = bytes(~byte & 0x7F for byte in range(256))
_ALAW_STEPS = bytes((byte ^ 0x55) & 0x7F for byte in range(256))


def _ulaw(step: int) -> float:
    return float((((step & 15) << 3) + 132 << (step >> 4)) - 132)


def _alaw(step: int) -> float:
    segment, within = step >> 4, ((step & 15) << 4) + 8
    return float(within if segment == 0 else within + 256 << (segment - 1))


_ULAW = [_ulaw(step) / 32_124 for step in range(128)]
_ALAW = [_alaw(step) / 32_256 for step in range(128)]

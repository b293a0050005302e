"""The audio formats that Asterisk records in, by the ends of its files' names."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

_MOST_CHUNKS = 64
_LONGEST = 0xFFFF_FFFF  # bytes that a WAV file can say that it has


class Coding(IntEnum):
    """How samples are written, by the number that WAV files have for it."""

    LINEAR = 1  # 16 bits, little-endian; or 8 bits, unsigned
    ALAW = 6
    ULAW = 7


@dataclass(frozen=True, slots=True)
class Sound:
    """Samples in a file: ``rate`` frames a second of ``channels`` samples of ``width`` bytes, in ``size`` bytes from
    ``start`` on."""

    coding: Coding
    rate: int
    channels: int
    width: int
    start: int
    size: int

    @property
    def frame(self) -> int:
        """The bytes of a frame."""
        return self.channels * self.width

    @property
    def frames(self) -> int:
        return self.size // self.frame


@dataclass(frozen=True, slots=True)
class Format:
    """What files of some name are. ``raw``: of samples alone, (coding, rate). ``plays``: in browsers, if not raw."""

    content_type: str
    raw: tuple[Coding, int] | None = None
    plays: bool = False


_WAV = Format("audio/wav", plays=True)
_SLN_KHZ = (12, 16, 24, 32, 44, 48, 96, 192)
_UNNAMED = "application/octet-stream"
FORMATS: Mapping[str, Format] = {
    "wav": _WAV,
    "WAV": _WAV,  # GSM in most cases, but that only the file itself can tell
    "wav49": _WAV,
    "mp3": Format("audio/mpeg", plays=True),
    "ogg": Format("audio/ogg", plays=True),
    "gsm": Format("audio/gsm"),
    "g722": Format("audio/G722"),
    **{name: Format(_UNNAMED, (Coding.ALAW, 8000)) for name in ("alaw", "al", "alw")},
    **{name: Format(_UNNAMED, (Coding.ULAW, 8000)) for name in ("ulaw", "ul", "mu", "ulw", "pcm")},
    **{name: Format(_UNNAMED, (Coding.LINEAR, 8000)) for name in ("sln", "slin", "raw")},
    **{f"sln{khz}": Format(_UNNAMED, (Coding.LINEAR, 44_100 if khz == 44 else khz * 1000)) for khz in _SLN_KHZ},
}
"""By what stands after the last dot of a file's name; Asterisk tells ``wav`` from ``WAV``."""


def wav_header(coding: Coding, rate: int, size: int) -> bytes:
    """What makes a WAV file of ``size`` bytes of raw samples, one channel; always as long for one coding."""
    width = _width(coding)
    form = struct.pack("<HHIIHH", coding, 1, rate, rate * width, width, width * 8)
    if coding is not Coding.LINEAR:
        form += struct.pack("<H", 0)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form
    if coding is not Coding.LINEAR:
        chunks += b"fact" + struct.pack("<II", 4, min(size // width, _LONGEST))
    whole = 4 + len(chunks) + 8 + size
    return b"RIFF" + struct.pack("<I", min(whole, _LONGEST)) + b"WAVE" + chunks + b"data" + struct.pack(
        "<I", min(size, _LONGEST)
    )  # fmt: skip


def raw_sound(raw: tuple[Coding, int], size: int) -> Sound:
    """The samples of a raw file of so many bytes."""
    coding, rate = raw
    return Sound(coding, rate, 1, _width(coding), 0, size)


def wav_sound(file: BinaryIO, size: int) -> Sound | None:
    """The samples of a WAV file of so many bytes; None where it is none, or coded otherwise (GSM)."""
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    at, form = 12, None
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        chunk = file.read(8)
        if len(chunk) < 8:
            return None
        name, length = chunk[:4], int.from_bytes(chunk[4:], "little")
        at += 8
        if name == b"fmt ":
            form = _form(file.read(16))
        elif name == b"data":
            # While it is being recorded the length is not written yet.
            rest = max(size - at, 0)
            return None if form is None else Sound(*form, at, min(length or rest, rest))
        at += length + length % 2
    return None


def _form(data: bytes) -> tuple[Coding, int, int, int] | None:
    if len(data) < 16:
        return None
    number, channels, rate, _, _, bits = struct.unpack("<HHIIHH", data)
    known = {(Coding.LINEAR, 16): 2, (Coding.LINEAR, 8): 1, (Coding.ALAW, 8): 1, (Coding.ULAW, 8): 1}
    if (width := known.get((number, bits))) is None or not 1 <= channels <= 16 or not 1 <= rate <= 1_000_000:
        return None
    return Coding(number), rate, channels, width


def _width(coding: Coding) -> int:
    return 2 if coding is Coding.LINEAR else 1

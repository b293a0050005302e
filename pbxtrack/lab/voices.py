"""Voices for the lab: sound that rises, falls and pauses as speech does, as G.711 µ-law. Pure, and by a name the same.

No words, and no recording of anybody: vowels are waves with the overtones of formants, sung at a pitch that falls
along a sentence.
"""

import math
import random
from functools import cache
from itertools import accumulate

RATE = 8000  # samples a second
SILENCE = 0xFF  # µ-law of no sound
# Seconds that one side talks while the other listens; the line begins. Together whole frames of 20 ms.
TURNS = (1.2, 1.0, 1.8, 1.4, 2.4, 2.2)

_STEPS = 256  # of a wave
_LOUD = 20_000  # of 32767
# The first three formants of some vowels, Hz.
_VOWELS = ((730, 1090, 2440), (530, 1840, 2480), (390, 1990, 2550), (570, 840, 2410), (440, 1020, 2240))


def voice(name: str, *, begins: bool) -> bytes:
    """What somebody of that name says, one byte a sample, to be repeated from the start.

    Who ``begins`` talks in the first of TURNS and every second after it, and the other in those between.
    """
    chance = random.Random(name)  # noqa: S311  a voice keeps no secret
    pitch = chance.uniform(95, 215)
    waves = [_wave(formants, pitch) for formants in _VOWELS]
    turns = [round(seconds * RATE) for seconds in TURNS]
    said = bytearray([SILENCE]) * sum(turns)
    for index, (samples, end) in enumerate(zip(turns, accumulate(turns), strict=True)):
        if (index % 2 == 0) is begins:
            _sentence(said, end - samples, samples, pitch, waves, chance)
    return bytes(said)


def _sentence(
    said: bytearray, start: int, samples: int, pitch: float, waves: list[list[float]], chance: random.Random
) -> None:
    """Syllables from sample ``start`` on, and a breath at the end."""
    at, end = start + RATE // 20, start + samples - RATE // 10
    while (syllable := round(RATE * chance.uniform(0.14, 0.26))) <= end - at:
        wave, loud, phase = chance.choice(waves), _LOUD * chance.uniform(0.5, 1.0), 0.0
        voiced = round(syllable * chance.uniform(0.7, 0.95))
        for n in range(voiced):
            part = n / voiced
            # A bow over the syllable; the pitch falls by a fifth along the sentence.
            phase += pitch * (1.1 - 0.2 * (at + n - start) / samples + 0.05 * part) / RATE
            sample = loud * math.sin(math.pi * part) * wave[int(phase * _STEPS) % _STEPS]
            said[at + n] = mulaw(int(sample))
        at += syllable


def _wave(formants: tuple[int, ...], pitch: float) -> list[float]:
    """One period of a vowel, from -1 to 1."""
    overtones = range(1, int(3400 / pitch) + 1)  # what a telephone line carries
    strength = [sum(1 / (1 + ((n * pitch - formant) / 120) ** 2) for formant in formants) / n**0.5 for n in overtones]
    wave = [
        sum(part * math.sin(2 * math.pi * n * step / _STEPS) for n, part in zip(overtones, strength, strict=True))
        for step in range(_STEPS)
    ]
    most = max(map(abs, wave))
    return [value / most for value in wave]


@cache
def mulaw(sample: int) -> int:
    """ITU-T G.711 µ-law of a 16-bit sample."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF

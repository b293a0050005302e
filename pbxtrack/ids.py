"""Opaque identifiers: sortable by the time they were made, unguessable in the rest."""

from __future__ import annotations

import os
from datetime import datetime
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case: safe in URLs and e-mail addresses
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
TIME_PART = 10
"""Characters of an id that tell when it was made."""

_TIME_SHIFTS = range(40, -1, -10)  # 48 bits of milliseconds
_RANDOM_SHIFTS = range(70, -1, -10)  # 80 bits
_RANDOM_BYTES = 10
_AT_ONCE = 64  # ids whose random bytes are asked of the system together: asking costs more than the rest

_spare: list[bytes] = []  # each used once: several threads may take from it


def new_id(now: datetime) -> str:
    """A new id of 26 characters, as in the ULID specification: 48 bits of time in ms, then 80 random bits.

    Ids made later sort later, so that indexes grow at their end. A lease id is a capability (whoever knows it may
    renew the lease): the random part comes from the operating system.
    """
    return _time(int(now.timestamp() * 1000)) + _encode(int.from_bytes(_random(), "big"), _RANDOM_SHIFTS)


def id_of(milliseconds: int, bits: int) -> str:
    """The id of a moment since 1970 with these 80 bits: for what is to be the same each time that it is made."""
    return time_part(milliseconds) + _encode(bits, _RANDOM_SHIFTS)


def time_part(milliseconds: int) -> str:
    """The first TIME_PART characters of the ids of a moment since 1970."""
    return _encode(milliseconds, _TIME_SHIFTS)


def milliseconds_of(made: str) -> int:
    """The moment of an id, milliseconds since 1970."""
    found = 0
    for character in made[:TIME_PART]:
        found = found << 5 | _ALPHABET.index(character)
    return found


def _random() -> bytes:
    try:
        return _spare.pop()
    except IndexError:
        block = os.urandom(_RANDOM_BYTES * _AT_ONCE)
        first, *rest = (block[start : start + _RANDOM_BYTES] for start in range(0, len(block), _RANDOM_BYTES))
        _spare.extend(rest)
        return first


def _encode(value: int, shifts: range) -> str:
    return "".join([_PAIRS[value >> shift & 1023] for shift in shifts])


_time = lru_cache(maxsize=16)(time_part)  # one transaction's are mostly the same

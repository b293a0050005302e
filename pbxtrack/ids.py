"""Opaque identifiers: sortable by the time they were made, unguessable in the rest."""

from __future__ import annotations

import os
from datetime import datetime
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case: safe in URLs and e-mail addresses
TIME_PART = 10
"""Characters of an id that tell when it was made."""

_TIME_SHIFTS = range(45, -1, -5)  # 48 bits of milliseconds
_RANDOM_SHIFTS = range(75, -1, -5)  # 80 bits
_RANDOM_CHARACTERS = len(_RANDOM_SHIFTS)
_TOKEN_CHARACTERS = 10  # 50 random bits: of a hundred million tokens one in some ten million would be there already
_OF_BYTE = (_ALPHABET * 8).encode()  # a character for each of a byte's 256 values, all as likely: five of its bits
_AT_ONCE = 64  # ids whose random characters are made together: asking the system costs more than the rest

_spare: list[str] = []  # each used once: several threads may take from it


def new_id(now: datetime) -> str:
    """A new id of 26 characters, as in the ULID specification: 48 bits of time in ms, then 80 random bits.

    Ids made later sort later, so that indexes grow at their end. A lease id is a capability (whoever knows it may
    renew the lease): the random part comes from the operating system.
    """
    return _time(int(now.timestamp() * 1000)) + _random()


def new_token() -> str:
    """Ten characters that nobody guesses: random, from the operating system, in the alphabet of the ids."""
    return _random()[:_TOKEN_CHARACTERS]


def earliest_id(at: datetime) -> str:
    """What sorts before all ids that were made from then on (to the millisecond)."""
    return _time(int(at.timestamp() * 1000))


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


def _random() -> str:
    try:
        return _spare.pop()
    except IndexError:
        block = os.urandom(_RANDOM_CHARACTERS * _AT_ONCE).translate(_OF_BYTE).decode("ascii")
        first, *rest = (block[start : start + _RANDOM_CHARACTERS] for start in range(0, len(block), _RANDOM_CHARACTERS))
        _spare.extend(rest)
        return first


def _encode(value: int, shifts: range) -> str:
    return "".join([_ALPHABET[value >> shift & 31] for shift in shifts])


_time = lru_cache(maxsize=16)(time_part)  # one transaction's are mostly the same

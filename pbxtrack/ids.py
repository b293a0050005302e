"""Opaque identifiers: sortable by the time they were made, unguessable in the rest."""

from __future__ import annotations

import os
from datetime import datetime
from functools import lru_cache

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case: safe in URLs and e-mail addresses
_TIME_SHIFTS = range(45, -1, -5)  # 48 bits of milliseconds
_OF_BYTE = (
    _ALPHABET * 8
).encode()  # a character for each of a byte's 256 values, all as likely: five bits of the eight
_RANDOM_CHARACTERS = 16  # 80 bits
_AT_ONCE = 64  # ids whose random characters are made together: asking the system costs more than the rest

_spare: list[str] = []  # each used once: several threads may take from it


def new_id(now: datetime) -> str:
    """A new id of 26 characters, as in the ULID specification: 48 bits of time in ms, then 80 random bits.

    Ids made later sort later, so that indexes grow at their end. A lease id is a capability (whoever knows it may
    renew the lease): the random part comes from the operating system.
    """
    return _time(int(now.timestamp() * 1000)) + _random()


def earliest_id(at: datetime) -> str:
    """What sorts before all ids that were made from then on (to the millisecond)."""
    return _time(int(at.timestamp() * 1000))


def _random() -> str:
    try:
        return _spare.pop()
    except IndexError:
        block = os.urandom(_RANDOM_CHARACTERS * _AT_ONCE).translate(_OF_BYTE).decode("ascii")
        first, *rest = (block[start : start + _RANDOM_CHARACTERS] for start in range(0, len(block), _RANDOM_CHARACTERS))
        _spare.extend(rest)
        return first


@lru_cache(maxsize=16)  # one transaction's are mostly the same
def _time(milliseconds: int) -> str:
    return "".join([_ALPHABET[milliseconds >> shift & 31] for shift in _TIME_SHIFTS])

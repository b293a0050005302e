"""Opaque identifiers: sortable by the time they were made, unguessable in the rest."""

from __future__ import annotations

import os
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case: safe in URLs and e-mail addresses
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_TIME_PAIRS = 5  # 48 bits of milliseconds
_RANDOM_PAIRS = 8  # 80 bits


def new_id(now: datetime) -> str:
    """A new id of 26 characters, as in the ULID specification: 48 bits of time in ms, then 80 random bits.

    Ids made later sort later, so that indexes grow at their end. A lease id is a capability (whoever knows it may
    renew the lease): the random part comes from the operating system.
    """
    milliseconds = int(now.timestamp() * 1000)
    return _encode(milliseconds, _TIME_PAIRS) + _encode(int.from_bytes(os.urandom(10), "big"), _RANDOM_PAIRS)


def _encode(value: int, pairs: int) -> str:
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(10 * pairs - 10, -1, -10)])

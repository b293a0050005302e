"""Opaque identifiers: sortable by the time they were made, unguessable in the rest."""

from __future__ import annotations

import secrets
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case: safe in URLs and e-mail addresses
_TIME_DIGITS = 10  # 48 bits of milliseconds
_RANDOM_DIGITS = 16  # 80 bits


def new_id(now: datetime) -> str:
    """A new id of 26 characters, as in the ULID specification: 48 bits of time in ms, then 80 random bits.

    Ids made later sort later, so that indexes grow at their end. A lease id is a capability (whoever knows it may
    renew the lease): the random part comes from the operating system.
    """
    milliseconds = int(now.timestamp() * 1000)
    return _encode(milliseconds, _TIME_DIGITS) + _encode(secrets.randbits(80), _RANDOM_DIGITS)


def _encode(value: int, digits: int) -> str:
    encoded = []
    for _ in range(digits):
        encoded.append(_ALPHABET[value & 31])
        value >>= 5
    return "".join(reversed(encoded))

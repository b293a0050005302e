"""Passwords: how they are kept, made, and which are refused."""

from __future__ import annotations

import secrets
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pbxtrack.errors import PbxtrackError

LEAST = 10  # characters
MOST = 200

# RFC 9106's second recommendation: 64 MiB, three passes.
_HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=4)
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is mistaken for something else


class PoorPassword(PbxtrackError):
    """A password that is refused; the message says why."""


def make_password() -> str:
    """A password that people can read out: 78 random bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def hash_password(password: str, name: str = "") -> str:
    """What is kept of a password; PoorPassword where it is too easily guessed. Takes a tenth of a second."""
    if len(password) < LEAST:
        raise PoorPassword(f"a password needs {LEAST} characters at least")
    if len(password) > MOST:
        raise PoorPassword(f"a password has {MOST} characters at most")
    if len(set(password)) < 4 or (name and password.casefold() == name.casefold()):
        raise PoorPassword("this password is too easily guessed")
    return _HASHER.hash(password)


def fits(password: str, kept: str | None) -> bool:
    """Whether this is the password; ``kept`` None: nobody's, which takes as long. Takes a tenth of a second."""
    nobodys = _nobodys()  # whoever tries first, so that time tells nothing of who there is
    try:
        return _HASHER.verify(kept or nobodys, password[: MOST + 1]) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobodys() -> str:
    """The hash of a password that nobody has; made when it is first needed, since it takes a tenth of a second."""
    return _HASHER.hash(secrets.token_hex(16))

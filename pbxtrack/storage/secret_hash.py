"""What is kept of the secrets of tokens and sessions."""

from __future__ import annotations

import hashlib


def hash_secret(secret: str) -> str:
    """The SHA-256 of a secret, in hexadecimal.

    A secret of 256 random bits cannot be guessed from its hash, however fast the hash is; so none of the slow ones.
    """
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()

"""Passwords are hashed in threads, a few at once: each takes a tenth of a second and 64 MiB."""

from __future__ import annotations

import asyncio

from pbxtrack.passwords import fits, hash_password

_HASHING = asyncio.Semaphore(2)


async def hashed(password: str, name: str) -> str:
    """What is kept of somebody's password; raises PoorPassword."""
    async with _HASHING:
        return await asyncio.to_thread(hash_password, password, name)


async def is_right(password: str, kept: str | None) -> bool:
    """Whether this is the password of which ``kept`` is kept; None: nobody's, which takes as long."""
    async with _HASHING:
        return await asyncio.to_thread(fits, password, kept)

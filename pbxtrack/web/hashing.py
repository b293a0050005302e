"""Passwords are hashed in threads, a few at once: each takes a tenth of a second and 64 MiB."""

from __future__ import annotations

import asyncio

from pbxtrack.passwords import hash_password

HASHING = asyncio.Semaphore(2)


async def hashed(password: str, name: str) -> str:
    """What is kept of somebody's password; raises PoorPassword."""
    async with HASHING:
        return await asyncio.to_thread(hash_password, password, name)

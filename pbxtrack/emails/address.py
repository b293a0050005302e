"""E-mail addresses as they are compared: whoever writes one may write it in another way."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pbxtrack.pool.policy import MAX_ADDRESS, MAX_LOCAL_PART

SEPARATORS = "+."
"""Of which one stands between a mailbox's name and what is added to it in a made address."""


def folded(address: str) -> str | None:
    """The address in lower case, its domain in ASCII and its local part without quotes; None where it is none of ours.

    Ours are in ASCII before the @, where ``K`` is not the sign of Kelvin.
    """
    local, _, domain = address.rpartition("@")
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    if not local or not domain or not local.isascii() or len(local) > MAX_LOCAL_PART:
        return None
    found = f"{local}@{domain}".lower()
    return found if len(found) <= MAX_ADDRESS and "\0" not in found else None


def mailboxes_of(address: str) -> Iterator[tuple[str, str]]:
    """(mailbox, separator): of which mailbox, with which separator, a folded address may have been made."""
    local, _, domain = address.rpartition("@")
    for at, character in enumerate(local):
        if at and character in SEPARATORS:
            yield f"{local[:at]}@{domain}", character

"""Whose request it is: the peer's address, or what a trusted proxy says of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_MAX_HOPS = 20
_WITH_PORT = re.compile(r"^(?:\[([0-9a-fA-F:.]+)\](?::\d+)?|([\d.]+):\d+)$")  # as some proxies write an address
_MAX_KEPT = 256  # characters of a header whose meaning is kept


class ClientAddresses:
    """Whose requests are, by connection and headers; kept, since reading addresses costs."""

    def __init__(self, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        """``trusted`` proxies may tell in X-Forwarded-For who asked them."""
        self._trusted = trusted
        self._kept = lru_cache(maxsize=4_096)(self._read)

    def of(self, peer: str | None, forwarded: tuple[str, ...]) -> str:
        """The address to count requests by; for IPv6 the /64 that one customer has.

        ``forwarded`` are the values of X-Forwarded-For. They are read from the right, as each proxy appends the address
        it was asked from, and only as far as trusted proxies go: what stands further left, anybody may have written.
        """
        if sum(map(len, forwarded)) <= _MAX_KEPT:
            return self._kept(peer, forwarded)
        return self._read(peer, forwarded)

    def _read(self, peer: str | None, forwarded: Sequence[str]) -> str:
        address = _parse(peer or "")
        if address is None:
            return "local"  # a Unix socket, or a connection that is gone already
        if self._trusts(address):
            hops = [hop.strip() for value in forwarded for hop in value.split(",") if hop.strip()][-_MAX_HOPS:]
            for hop in reversed(hops):
                nearer = _parse(_WITH_PORT.sub(r"\1\2", hop))
                if nearer is None:
                    return "unknown"  # somebody's, and not this machine's
                address = nearer
                if not self._trusts(address):
                    break
        if isinstance(address, IPv6Address):
            return f"{IPv6Address(int(address) >> 64 << 64)}/64"
        return str(address)

    def _trusts(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._trusted)


def is_local(address: str) -> bool:
    """Whether an address of :func:`client_address` is this machine itself."""
    return address == "local" or address.startswith("127.") or address == "::/64"


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address

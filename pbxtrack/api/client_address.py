"""Whose request it is: the peer's address, or what a trusted proxy says of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_MAX_HOPS = 20
_MAX_KEPT = 256  # characters of a header whose meaning is kept


def client_address(peer: str | None, forwarded: tuple[str, ...], trusted: tuple[IPv4Network | IPv6Network, ...]) -> str:
    """The address to count requests by; for IPv6 the /64 that one customer has.

    ``forwarded`` are the values of X-Forwarded-For. They are read from the right, as each proxy appends the address it
    was asked from, and only as far as trusted proxies go: what stands further left, anybody may have written.
    """
    if sum(map(len, forwarded)) <= _MAX_KEPT:
        return _kept(peer, forwarded, trusted)
    return _read(peer, forwarded, trusted)


def is_local(address: str) -> bool:
    """Whether an address of :func:`client_address` is this machine itself."""
    return address == "local" or address.startswith("127.") or address == "::/64"


def _read(peer: str | None, forwarded: Sequence[str], trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    address = _parse(peer or "")
    if address is None:
        return "local"  # a Unix socket, or a connection that is gone already
    if _is_trusted(address, trusted):
        hops = [hop for value in forwarded for hop in value.split(",")][-_MAX_HOPS:]
        for hop in reversed(hops):
            nearer = _parse(hop.strip())
            if nearer is None:
                break
            address = nearer
            if not _is_trusted(address, trusted):
                break
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)


_kept = lru_cache(maxsize=4_096)(_read)  # reading addresses costs more than a request's other reading together


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _is_trusted(address: IPv4Address | IPv6Address, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in trusted)

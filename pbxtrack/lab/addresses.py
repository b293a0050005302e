"""Which loopback address and ports a lab uses.

The lab "default" is where the documentation says: 127.0.0.1. Any other lab has the same ports on a loopback address
of its own, so that labs run side by side without a port being configured anywhere.
"""

import errno
import hashlib
import os
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pbxtrack.errors import PbxtrackError

DEFAULT_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Addresses:
    """The addresses of a lab, each as ``host:port``."""

    host: str

    @property
    def sip(self) -> str:
        """Where the carrier sends calls (UDP)."""
        return f"{self.host}:5060"

    @property
    def ami(self) -> str:
        """Asterisk's manager interface (TCP)."""
        return f"{self.host}:5038"

    @property
    def agi(self) -> str:
        """Where Asterisk expects pbxtrack's FastAGI service (TCP); the lab does not listen there."""
        return f"{self.host}:4573"

    @property
    def api(self) -> str:
        """Where pbxtrack's HTTP API will listen (TCP); the lab does not listen there."""
        return f"{self.host}:8080"

    @property
    def website(self) -> str:
        """Where the demonstration's website will listen (TCP); the lab does not listen there."""
        return f"{self.host}:8000"

    @property
    def lines(self) -> dict[str, str]:
        """The phones of the lines, by the line's name (UDP)."""
        return {"sales": f"{self.host}:5071", "support": f"{self.host}:5072"}


def split(address: str) -> tuple[str, int]:
    """``host:port`` as a pair."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def needed(addresses: Addresses) -> list[tuple[str, str, bool]]:
    """What the lab binds: ``(what, address, is_udp)``."""
    lines = [(f"the phone of PJSIP/{name}", address, True) for name, address in addresses.lines.items()]
    return [("the carrier's SIP", addresses.sip, True), ("Asterisk's AMI", addresses.ami, False), *lines]


def taken(addresses: Addresses) -> str | None:
    """One line about the first needed port that another program holds; None when all are free."""
    for what, address, is_udp in needed(addresses):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM) as probe:
            if not is_udp:
                # Connections of a lab just ended may linger in TIME_WAIT; Asterisk's own listener is not kept out.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(split(address))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    return f"{address} (needed for {what}) cannot be used: {error.strerror}"
                return f"{address}/{'udp' if is_udp else 'tcp'}, needed for {what}, is taken by another program"
    return None


def choose(name: str, reserved: Collection[str]) -> Addresses:
    """Addresses for the lab `name`; `reserved` are the hosts of other labs. Call it under the labs' lock.

    Raises PbxtrackError that names the port when "default" cannot have its ports, or when no address is free.
    """
    if name == "default":
        addresses = Addresses(DEFAULT_HOST)
        if reason := taken(addresses):
            raise PbxtrackError(f"{reason}; stop that program, or use another lab: --name")
        return addresses
    for host in _hosts(name):
        if host not in reserved and taken(addresses := Addresses(host)) is None:
            return addresses
    raise PbxtrackError("no loopback address has the lab's ports free: is a program bound to 0.0.0.0:5060 or :5038?")


def _hosts(name: str) -> Iterator[str]:
    # Another user's labs are not in our folders. Starting from a place that depends on the user and the name makes it
    # unlikely that two of them try the same address in the same moment.
    start = int.from_bytes(hashlib.sha256(f"{os.getuid()}:{name}".encode()).digest()[:4], "big")
    for step in range(512):
        x, y = divmod((start + step) % (254 * 254), 254)
        yield f"127.0.{x + 1}.{y + 1}"

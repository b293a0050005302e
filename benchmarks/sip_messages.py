"""The SIP of the load generator: the fewest bytes that Asterisk takes for calls."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEADER = re.compile(rb"^([\w-]+)\s*:\s*(.*?)\r?$", re.MULTILINE)
_USER = re.compile(rb"sips?:([^@;>]*)@")
_CONTACT = re.compile(rb"<([^>]*)>")
_SHORT = {b"v": b"via", b"f": b"from", b"t": b"to", b"i": b"call-id", b"m": b"contact"}
_COPIED = (b"via", b"record-route", b"from", b"to", b"call-id", b"cseq")


@dataclass(frozen=True, slots=True)
class Message:
    """A request (``method``) or an answer (``status``) as it arrived."""

    method: str
    status: int
    headers: list[tuple[bytes, bytes]]

    def get(self, name: bytes) -> bytes:
        """The first value of a header, empty where there is none."""
        return next((value for key, value in self.headers if key == name), b"")

    @property
    def caller(self) -> str:
        """The user part of From."""
        found = _USER.search(self.get(b"from"))
        return found[1].decode() if found else ""

    @property
    def contact(self) -> str:
        """Where requests within the dialogue go."""
        found = _CONTACT.search(self.get(b"contact"))
        return found[1].decode() if found else ""


def read(data: bytes) -> Message:
    """Read a datagram from Asterisk, which is trusted to be SIP."""
    head = data.partition(b"\r\n\r\n")[0]
    first, _, rest = head.partition(b"\r\n")
    headers = []
    for name, value in _HEADER.findall(rest):
        name = name.lower()
        headers.append((_SHORT.get(name, name), value))
    words = first.split(b" ", 2)
    if words[0] == b"SIP/2.0":
        return Message("", int(words[1]), headers)
    return Message(words[0].decode(), 0, headers)


def sdp(host: str) -> str:
    """A body that offers, or takes, G.711."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        "m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
    )


def answer(request: Message, status: int, reason: str, tag: str, *, contact: str = "", body: str = "") -> bytes:
    """The answer to a request."""
    lines = [f"SIP/2.0 {status} {reason}".encode()]
    for name, value in request.headers:
        if name in _COPIED:
            if name == b"to" and b"tag=" not in value:
                value += f";tag={tag}".encode()
            lines.append(name + b": " + value)
    return b"\r\n".join(lines) + _end(contact, body)


def request(
    method: str, uri: str, number: int, branch: str, headers: dict[str, str], *, via: str, contact: str, body: str = ""
) -> bytes:
    """A request of the caller's."""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {via};rport;branch=z9hG4bK{branch}",
        "Max-Forwards: 70",
        *(f"{name}: {value}" for name, value in headers.items()),
        f"CSeq: {number} {method}",
    ]
    return "\r\n".join(lines).encode() + _end(contact, body)


def _end(contact: str, body: str) -> bytes:
    extra = f"\r\nContact: <{contact}>" if contact else ""
    if body:
        extra += "\r\nContent-Type: application/sdp"
    return f"{extra}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

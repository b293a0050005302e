"""As much of SIP (RFC 3261) as the lab's phone needs: reading and writing messages. Pure; no sockets.

Header values stay bytes-in-Latin-1, so that a caller's name of any bytes passes through unharmed.
"""

import re
from dataclasses import dataclass, field

COMPACT = {
    "i": "call-id",
    "f": "from",
    "t": "to",
    "v": "via",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
_USER = re.compile(r"sips?:(?:([^@;>?]*)@)?")
_NAME = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^<"]*?))\s*<')


class BadMessage(ValueError):
    """Bytes that are no SIP message."""


@dataclass
class Message:
    """A request (`method` is set) or a response (`status` is set); headers in order, their names in lower case."""

    method: str = ""
    uri: str = ""
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: str = ""

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: str, default: str = "") -> str:
        """The first value of a header."""
        return next(iter(self.all(name)), default)

    @property
    def cseq(self) -> tuple[int, str]:
        """The number and the method of CSeq."""
        number, _, method = self.get("cseq").partition(" ")
        return int(number), method.strip()


def parse(data: bytes) -> Message:
    """Read a datagram. Raises BadMessage."""
    head, _, body = data.decode("latin-1").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in " \t" and headers:  # a folded header
            headers[-1] = (headers[-1][0], f"{headers[-1][1]} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise BadMessage(f"no header: {line!r}")
        name = name.strip().lower()
        headers.append((COMPACT.get(name, name), value.strip()))
    words = first.split(" ", 2)
    try:
        if words[0] == "SIP/2.0":
            message = Message(status=int(words[1]), headers=headers, body=body)
        else:
            method, uri, version = words
            if version != "SIP/2.0":
                raise BadMessage(f"not SIP: {first!r}")
            message = Message(method=method, uri=uri, headers=headers, body=body)
        message.cseq  # noqa: B018  reading it proves that it is there
    except (IndexError, ValueError) as error:
        raise BadMessage(f"not SIP: {first!r}") from error
    return message


def render(message: Message) -> bytes:
    """The datagram of a message; Content-Length is added."""
    reason = REASONS.get(message.status, "Failure")
    first = f"{message.method} {message.uri} SIP/2.0" if message.method else f"SIP/2.0 {message.status} {reason}"
    body = message.body.encode("latin-1")
    lines = [first, *(f"{name.title()}: {value}" for name, value in message.headers), f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def answer(request: Message, status: int, tag: str = "", extra: list[tuple[str, str]] | None = None) -> Message:
    """A response to `request`; `tag` is added to its To unless that has one."""
    to = request.get("to")
    if tag and ";tag=" not in to:
        to += f";tag={tag}"
    headers = [("via", via) for via in request.all("via")]
    headers += [("record-route", route) for route in request.all("record-route")]
    headers += [("from", request.get("from")), ("to", to)]
    headers += [("call-id", request.get("call-id")), ("cseq", request.get("cseq"))]
    return Message(status=status, headers=headers + (extra or []))


def user_of(header: str) -> str:
    """The user part of the address in a From, To or Contact header or a URI; "" when it has none."""
    found = _USER.search(header)
    return (found[1] or "") if found else ""


def name_of(header: str) -> str:
    """The display name of a From header; "" when it has none."""
    found = _NAME.match(header)
    if not found:
        return ""
    name = re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else (found[2] or "").strip()
    try:
        return name.encode("latin-1").decode()  # names are UTF-8 by the RFC
    except UnicodeDecodeError:
        return name


def uri_of(header: str) -> str:
    """The URI of a Contact header, without the angle brackets."""
    found = re.search(r"<([^>]*)>", header)
    return found[1] if found else header.split(";")[0].strip()


REASONS = {
    100: "Trying",
    180: "Ringing",
    200: "OK",
    202: "Accepted",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    481: "Call Does Not Exist",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Error",
    503: "Service Unavailable",
    603: "Decline",
}

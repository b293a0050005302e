"""Where a message ends, in what a client sends after DATA; and what must not be in one.

Only CR LF . CR LF ends it. What is like it (LF . LF, CR LF . LF, LF . CR LF …) may be the end for another server: what
is one message here and two there has been smuggled in. So a message with a CR or LF of its own is refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_END = b"\r\n.\r\n"
_STUFFED = re.compile(rb"\r\n\.")


class Framing:
    """Takes a message's bytes as they come. Of more than ``limit`` bytes it keeps none, and still finds the end."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._last = b"\r\n"  # the end of what came before: a dot alone on the first line ends the message, too
        self.size = 0  # bytes that came

    @property
    def too_large(self) -> bool:
        """Whether there were more bytes than the limit; stuffed dots are counted."""
        return self.size > self._limit + len(_END)

    def feed(self, chunk: bytes) -> bytes | None:
        """Take what came; what stands behind the message's end, or None while it goes on."""
        seam = self._last + chunk
        found = seam.find(_END)
        if found < 0:
            self._take(chunk)
            self._last = seam[-(len(_END) - 1) :]
            return None
        end = found + len(_END) - len(self._last)  # in the chunk
        self._take(chunk[:end])
        return chunk[end:]

    def message(self) -> bytes:
        """The message, without the dots that were only for the way."""
        raw = b"\r\n" + b"".join(self._parts)
        self._parts.clear()
        return _STUFFED.sub(b"\r\n", raw[: -len(_END)] + b"\r\n")[2:]

    def _take(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.too_large:
            self._parts.clear()
        else:
            self._parts.append(chunk)


def refusal(content: bytes, headers: bytes, marks: Sequence[str], *, longest: int, hops: int) -> str | None:
    """The answer to a message that cannot be taken; None for one that can. ``headers`` are the first of its bytes.

    ``marks``: what this relay writes into Delivered-To. ``longest`` line in bytes, CR LF not counted.
    """
    if not content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n"):
        return "554 5.6.0 The message has a bare CR or LF; lines must end with CR LF"
    if _line_over(content, longest):
        return f"554 5.6.0 The message has a line of more than {longest} bytes"
    received = delivered = 0
    for line in headers.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if not colon or len(name) > len(b"delivered-to"):
            continue
        word = name.strip().lower()
        received += word == b"received"
        delivered += word == b"delivered-to" and value.strip().lower().decode("ascii", "replace") in marks
    if delivered or received > hops:
        return "554 5.4.6 Mail forwarding loop"
    return None


def _line_over(content: bytes, longest: int) -> bool:
    start = 0
    while len(content) - start > longest:
        end = content.rfind(b"\r\n", start, start + longest + 2)
        if end < 0:
            return True
        start = end + 2
    return False

"""AMI on the wire: bytes to messages and actions to bytes. Pure, and bounded whatever the other end sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Message = Mapping[str, str | list[str]]
"""A response or an event. A header that came more than once (``ChanVariable``) is a list, in the order sent."""

MAX_MESSAGE = 64 * 1024  # bytes; Asterisk's longest are a few kilobytes
_END = b"\r\n\r\n"


class Parser:
    """Cuts a stream of bytes into messages, whatever pieces it comes in.

    A message longer than ``MAX_MESSAGE`` is skipped to its end and counted in ``overlong``: no more than that is ever
    kept. Bytes that are not UTF-8 become U+FFFD; a character cut by a chunk stays whole, for only whole messages are
    decoded.
    """

    def __init__(self) -> None:
        self.overlong = 0
        self._pending = bytearray()
        self._skipping = False

    @property
    def pending(self) -> int:
        """Bytes kept of a message whose end has not come yet."""
        return len(self._pending)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that ``data`` completes, in order."""
        # The terminator may have begun in the bytes before; what lies before those was searched already.
        searched = max(len(self._pending) - len(_END) + 1, 0)
        self._pending += data
        messages: list[Message] = []
        if self._pending.find(_END, searched) >= 0:
            *blocks, self._pending = self._pending.split(_END)
            for block in blocks:
                if self._skipping:
                    self._skipping = False
                elif len(block) > MAX_MESSAGE:
                    self.overlong += 1
                elif message := _parse(block):
                    messages.append(message)
        if len(self._pending) > MAX_MESSAGE:
            self.overlong += not self._skipping
            self._skipping = True
        if self._skipping:
            del self._pending[: -len(_END) + 1]
        return messages


def encode(action: str, action_id: str, fields: Mapping[str, str | Sequence[str]]) -> bytes:
    """An action as it is sent. Raises ValueError for a name or value with a line break, which would be a new header."""
    lines = [f"Action: {action}", f"ActionID: {action_id}"]
    for name, value in fields.items():
        lines += [f"{name}: {item}" for item in ([value] if isinstance(value, str) else value)]
    for line in lines:
        if any(sign in line for sign in "\r\n\0"):
            raise ValueError(f"{line.partition(':')[0]!r}: a line break cannot be sent to Asterisk")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


def text(message: Message, name: str) -> str:
    """A header's value, the first if there are several, empty if there is none."""
    value = message.get(name, "")
    if isinstance(value, list):
        value = value[0] if value else ""
    return value if isinstance(value, str) else ""


def _parse(block: bytearray) -> Message | None:
    """Lines without a colon, such as Asterisk's greeting, say nothing; None for a block of only such lines."""
    message: dict[str, str | list[str]] = {}
    for line in block.decode("utf-8", "replace").split("\r\n"):
        name, separator, value = line.partition(": ")
        if not separator or ":" in name:  # written in another way than Asterisk's
            name, separator, value = line.partition(":")
        if not separator or not name:
            continue
        if name not in message:
            message[name] = value
        elif isinstance(known := message[name], list):
            known.append(value)
        else:
            message[name] = [known, value]
    return message or None

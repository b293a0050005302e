"""A load generator that is both ends of every call: the caller before Asterisk and the line behind it.

One process and one clock: a call's post-dial delay is from the moment that its INVITE is handed to the kernel to the
kernel's own time stamp on the INVITE to the line, so that a late turn of this program's loop is not counted.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks import sip_messages as sip

HOLD = 0.3  # s from the answer to the caller's BYE
ANSWER_AFTER = 0.02  # s that the line rings
AGAIN = 0.5  # s until an INVITE or BYE that was not answered is sent once more: SIP's T1
GIVE_UP = 6.0  # s
_SO_TIMESTAMPNS = 35
_BUFFER = 4 << 20

_callers = itertools.count(int(time.time() * 10) % 1_000_000 * 1_000)  # no caller of a run before


@dataclass(slots=True)
class Call:
    """A call as both ends saw it; times in ns since 1970, 0 where it did not come to that."""

    kind: str
    to: str
    caller: str
    sent: int = 0
    arrived: int = 0  # the INVITE to the line
    answered: int = 0
    over: int = 0
    failure: str = ""
    heard: bool = False  # any answer to the last request

    @property
    def post_dial_ms(self) -> float | None:
        """From the caller's INVITE to the line's."""
        return (self.arrived - self.sent) / 1e6 if self.arrived else None


class Load:
    """Places calls at Asterisk's ``sip`` address and answers them at ``line``, both (host, port)."""

    def __init__(self, sip_address: tuple[str, int], line: tuple[str, int]) -> None:
        self._asterisk = sip_address
        self._line = _socket(line)
        self._caller = _socket((line[0], 0))
        host, port = self._caller.getsockname()
        self._via, self._contact = f"{host}:{port}", f"sip:carrier@{host}:{port}"
        self._line_contact = f"sip:sales@{line[0]}:{line[1]}"
        self._sdp = sip.sdp(host)
        self._loop = asyncio.get_running_loop()
        self._calls: dict[str, Call] = {}
        self._loop.add_reader(self._line.fileno(), self._read, self._line, self._at_line)
        self._loop.add_reader(self._caller.fileno(), self._read, self._caller, self._at_caller)

    def close(self) -> None:
        """Leave the sockets."""
        for end in (self._line, self._caller):
            self._loop.remove_reader(end.fileno())
            end.close()

    async def run(self, orders: Iterable[tuple[str, str]], rate: float) -> list[Call]:
        """Place the calls, (kind, number dialled) each, ``rate`` a second; returns when the last is over or lost."""
        calls: list[Call] = []
        begin = self._loop.time()
        for index, (kind, to) in enumerate(orders):
            wait = begin + index / rate - self._loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            calls.append(self._place(kind, to))
        deadline = self._loop.time() + GIVE_UP
        while self._loop.time() < deadline and not all(call.over or call.failure for call in calls):
            await asyncio.sleep(0.02)
        for call in calls:
            self._calls.pop(call.caller, None)
            if not call.over and not call.failure:
                call.failure = "lost"
        return calls

    def _place(self, kind: str, to: str) -> Call:
        # A caller of its own for every call: a real number, which no call before had.
        call = Call(kind, to, f"+79{next(_callers) % 1_000_000_000:09d}")
        self._calls[call.caller] = call
        invite = self._request(call, "INVITE", 1, "", f"sip:{to}@{self._asterisk[0]}:{self._asterisk[1]}", self._sdp)
        call.sent = time.time_ns()
        self._caller.sendto(invite, self._asterisk)
        self._loop.call_later(AGAIN, self._again, call, invite)
        return call

    def _again(self, call: Call, request: bytes) -> None:
        if not call.heard and call.caller in self._calls:
            self._caller.sendto(request, self._asterisk)

    def _request(self, call: Call, method: str, number: int, to_tag: str, uri: str, body: str = "") -> bytes:
        host = self._asterisk[0]
        headers = {
            "From": f"<sip:{call.caller}@{host}>;tag=c{call.caller[1:]}",
            "To": to_tag or f"<sip:{call.to}@{host}>",
            "Call-ID": f"bench-{call.caller[1:]}",
        }
        branch = f"{call.caller[1:]}{number}{method[:1]}"
        return sip.request(method, uri, number, branch, headers, via=self._via, contact=self._contact, body=body)

    def _read(self, end: socket.socket, take: object) -> None:
        assert callable(take)
        while True:
            try:
                data, extra, _, _ = end.recvmsg(65_536, 64)
            except BlockingIOError:
                return
            seconds, nanoseconds = struct.unpack("qq", extra[0][2][:16])
            take(sip.read(data), seconds * 1_000_000_000 + nanoseconds)

    def _at_line(self, message: sip.Message, at: int) -> None:
        if message.method == "INVITE":
            call = self._calls.get(message.caller)
            if call is None or call.arrived:
                return  # of a window before, or sent again
            call.arrived = at
            self._answer(message, 180, "Ringing")
            self._loop.call_later(ANSWER_AFTER, self._answer, message, 200, "OK", self._sdp)
        elif message.method not in ("ACK", ""):
            self._answer(message, 200, "OK")

    def _answer(self, message: sip.Message, status: int, reason: str, body: str = "") -> None:
        contact = self._line_contact if body or status == 180 else ""
        self._line.sendto(
            sip.answer(message, status, reason, "line" + message.caller[1:], contact=contact, body=body), self._asterisk
        )

    def _at_caller(self, message: sip.Message, at: int) -> None:
        if message.method:
            if message.method != "ACK":
                answer = sip.answer(message, 200, "OK", "")
                self._caller.sendto(answer, self._asterisk)
            return
        call = self._calls.get(message.caller)
        if call is None:
            return
        call.heard = True
        to, is_bye = message.get(b"to").decode(), message.get(b"cseq").endswith(b"BYE")
        if message.status < 200:
            return
        if is_bye:
            call.over = at
        elif message.status < 300:
            uri = message.contact
            self._caller.sendto(self._request(call, "ACK", 1, to, uri), self._asterisk)
            if not call.answered:
                call.answered = at
                self._loop.call_later(HOLD, self._bye, call, to, uri)
        elif not call.failure:
            call.failure = str(message.status)
            uri = f"sip:{call.to}@{self._asterisk[0]}:{self._asterisk[1]}"
            self._caller.sendto(self._request(call, "ACK", 1, to, uri).replace(b"1A", b"1I", 1), self._asterisk)

    def _bye(self, call: Call, to: str, uri: str) -> None:
        bye = self._request(call, "BYE", 2, to, uri)
        call.heard = False
        self._caller.sendto(bye, self._asterisk)
        self._loop.call_later(AGAIN, self._again, call, bye)


def _socket(address: tuple[str, int]) -> socket.socket:
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    end.setblocking(False)
    end.bind(address)
    return end

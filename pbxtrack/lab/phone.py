"""The SIP phone at a line of the lab: ``python -m pbxtrack.lab.phone --listen 127.0.0.1:5071 --ledger FILE``.

It answers after 0.3 s and hangs up when the caller does, unless the call carries the header ``X-Lab-Call``, which says
how to treat it (see treatment.py). It takes many calls at once and writes one JSON line for each when it is over: an
account of the call that owes nothing to Asterisk. SIPp is not used here because its waiting times cannot depend on the
call, so that one standing scenario could not ring as long as each caller asks.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import time
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pbxtrack.lab import sip
from pbxtrack.lab.media import Media
from pbxtrack.lab.treatment import Treatment
from pbxtrack.lab.voices import voice

T1, T2 = 0.5, 4.0  # seconds, the timers of RFC 3261
GIVE_UP = 64 * T1
RING_LIMIT = 300.0  # seconds; Asterisk gives up far earlier
TRANSFER_PATIENCE = 2.0  # seconds
Peer = tuple[str, int]


@dataclass
class Call:
    """One call at this phone. Times are seconds since 1970; None: did not happen."""

    invite: sip.Message
    peer: Peer
    treatment: Treatment
    tag: str
    invited_at: float
    rang_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    ended_by: str | None = None
    status: int = 0
    cseq: int = 0
    last: bytes = b""  # the newest response to the INVITE, for its retransmissions
    transferred: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    script: list[asyncio.Task[object]] = field(default_factory=list)  # ends with the call

    @property
    def id(self) -> str:
        return self.invite.get("call-id")


class Phone(asyncio.DatagramProtocol):
    """All calls of one line."""

    def __init__(self, line: str, listen: Peer, ledger: Path) -> None:
        self._line, self._listen = line, listen
        self._ledger = ledger.open("a", buffering=1)
        self._calls: dict[str, Call] = {}
        self._answers: dict[str, asyncio.Future[int]] = {}
        self._media = Media(listen[0], voice(line, begins=True))
        self._background: set[asyncio.Task[object]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Peer) -> None:
        if not data.strip():
            return  # a keep-alive
        try:
            message = sip.parse(data)
        except sip.BadMessage:
            return
        if message.status:
            self._response(message)
        elif message.method == "INVITE":
            self._invite(message, addr)
        else:
            self._request(message, addr)

    def close(self) -> None:
        """Write the calls that have not ended to the ledger."""
        for call in list(self._calls.values()):
            self._record(call)
        self._ledger.close()

    # What comes in

    def _invite(self, message: sip.Message, peer: Peer) -> None:
        call = self._calls.get(message.get("call-id"))
        if call is None:
            treatment = Treatment.from_header(message.get("x-lab-call"))
            call = Call(message, peer, treatment, uuid.uuid4().hex[:12], time.time())
            self._calls[call.id] = call
            call.script.append(self._start(self._treat(call)))
        elif message.cseq == call.invite.cseq:
            self._transport.sendto(call.last, peer)  # a retransmission
        else:  # a re-INVITE: hold, or a new session timer
            self._reply(message, 200, peer, call.tag, self._media.sdp())

    def _request(self, message: sip.Message, peer: Peer) -> None:
        call = self._calls.get(message.get("call-id"))
        if message.method == "ACK":
            if call:
                call.acknowledged.set()
        elif message.method == "OPTIONS":
            self._reply(message, 200, peer)
        elif call is None:
            self._reply(message, 481, peer)
        elif message.method == "BYE":
            self._reply(message, 200, peer, call.tag)
            call.acknowledged.set()  # whoever hangs up has seen our answer, even if the ACK was lost
            self._end(call, "caller")
        elif message.method == "CANCEL":
            self._reply(message, 200, peer, call.tag)
            if not call.status:
                self._final(call, 487)
                self._end(call, "caller")
        elif message.method in ("NOTIFY", "INFO", "UPDATE"):
            if message.body.startswith("SIP/2.0 2"):  # RFC 3515: how far our REFER is
                call.transferred.set()
            self._reply(message, 200, peer, call.tag)
        else:
            self._reply(message, 405, peer, call.tag)

    def _response(self, message: sip.Message) -> None:
        waiting = self._answers.get(message.get("call-id") + message.get("cseq"))
        if waiting and not waiting.done() and message.status >= 200:
            waiting.set_result(message.status)

    # What the phone does

    async def _treat(self, call: Call) -> None:
        wish = call.treatment
        self._provisional(call, 100)
        if wish.outcome in ("busy", "rejected"):
            self._final(call, 486 if wish.outcome == "busy" else wish.status)
            self._end(call, "line")
            return
        self._provisional(call, 180)
        call.rang_at = time.time()
        if wish.outcome == "missed" or wish.only not in ("", self._line):
            await asyncio.sleep(RING_LIMIT)
        await asyncio.sleep(wish.ring / 1000)
        call.answered_at = time.time()
        self._final(call, 200, self._media.sdp())
        await call.acknowledged.wait()
        if wish.audio:
            call.script.append(self._start(self._media.talk(call.invite.body)))
        transfers = wish.transfer not in ("", self._line)  # the line that it is transferred to keeps the call
        if transfers or wish.hangup == "line":
            await asyncio.sleep(wish.talk / 1000)
            if transfers:
                host, port = call.peer
                target = f"<sip:{wish.transfer}@{host}:{port}>"
                await self._ask(call, "REFER", [("refer-to", target), ("referred-by", self._contact())])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(call.transferred.wait(), TRANSFER_PATIENCE)
            self._end(call, "line")
            await self._ask(call, "BYE", [])

    def _provisional(self, call: Call, status: int) -> None:
        call.last = sip.render(sip.answer(call.invite, status, call.tag if status > 100 else "", self._extra()))
        self._transport.sendto(call.last, call.peer)

    def _final(self, call: Call, status: int, sdp: str = "") -> None:
        call.status = status
        response = sip.answer(call.invite, status, call.tag, self._extra(sdp))
        response.body = sdp
        call.last = sip.render(response)
        self._transport.sendto(call.last, call.peer)
        self._start(self._repeat(call))

    async def _repeat(self, call: Call) -> None:
        """Send the final response again until it is acknowledged; UDP may lose either."""
        waited, pause = 0.0, T1
        while waited < GIVE_UP:
            try:
                await asyncio.wait_for(call.acknowledged.wait(), pause)
                return
            except TimeoutError:
                self._transport.sendto(call.last, call.peer)
                waited, pause = waited + pause, min(2 * pause, T2)
        self._end(call, "lost")

    async def _ask(self, call: Call, method: str, extra: list[tuple[str, str]]) -> int:
        """Send a request within the call, again and again until it is answered; 408 when it never is."""
        call.cseq += 1
        invite = call.invite
        host, port = self._listen
        headers = [
            ("via", f"SIP/2.0/UDP {host}:{port};branch=z9hG4bK{uuid.uuid4().hex};rport"),
            ("max-forwards", "70"),
            ("from", f"{invite.get('to')};tag={call.tag}"),
            ("to", invite.get("from")),
            ("call-id", call.id),
            ("cseq", f"{call.cseq} {method}"),
            ("contact", self._contact()),
            *extra,
        ]
        data = sip.render(sip.Message(method=method, uri=sip.uri_of(invite.get("contact")), headers=headers))
        key = f"{call.id}{call.cseq} {method}"
        waiting = self._answers[key] = asyncio.get_running_loop().create_future()
        waited, pause = 0.0, T1
        try:
            while waited < GIVE_UP:
                self._transport.sendto(data, call.peer)
                try:
                    return await asyncio.wait_for(asyncio.shield(waiting), pause)
                except TimeoutError:
                    waited, pause = waited + pause, min(2 * pause, T2)
            return 408
        finally:
            del self._answers[key]

    def _reply(self, request: sip.Message, status: int, peer: Peer, tag: str = "", sdp: str = "") -> None:
        response = sip.answer(request, status, tag or uuid.uuid4().hex[:12], self._extra(sdp))
        response.body = sdp
        self._transport.sendto(sip.render(response), peer)

    def _extra(self, sdp: str = "") -> list[tuple[str, str]]:
        headers = [("contact", self._contact()), ("user-agent", "pbxtrack-lab-phone")]
        return [*headers, ("content-type", "application/sdp")] if sdp else headers

    def _contact(self) -> str:
        host, port = self._listen
        return f"<sip:{self._line}@{host}:{port}>"

    def _start(self, work: Coroutine[object, object, object]) -> asyncio.Task[object]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._background.discard)
        return task

    def _end(self, call: Call, by: str) -> None:
        if call.ended_at is not None:
            return
        call.ended_at, call.ended_by = time.time(), by
        self._record(call)
        for task in call.script:
            if task is not asyncio.current_task():
                task.cancel()
        asyncio.get_running_loop().call_later(GIVE_UP, self._calls.pop, call.id, None)  # for retransmissions

    def _record(self, call: Call) -> None:
        caller = call.invite.get("from")
        row = {
            "line": self._line,
            "call_id": call.id,
            "lab_call": call.treatment.call,
            "pbxtrack_call": call.invite.get("x-pbxtrack-call"),
            "did": call.invite.get("x-pbxtrack-did"),
            "caller": sip.user_of(caller),
            "caller_name": sip.name_of(caller),
            "withheld": "id" in call.invite.get("privacy"),
            "outcome": "answered" if call.answered_at else {486: "busy", 487: "cancelled"}.get(call.status, "rejected"),
            "status": call.status,
            "invited_at": call.invited_at,
            "rang_at": call.rang_at,
            "answered_at": call.answered_at,
            "ended_at": call.ended_at,
            "ended_by": call.ended_by,
        }
        self._ledger.write(json.dumps(row) + "\n")


async def serve(line: str, listen: Peer, ledger: Path) -> None:
    """Be the phone until SIGTERM. Raises OSError when the address is taken."""
    loop = asyncio.get_running_loop()
    phone = Phone(line, listen, ledger)
    transport, _ = await loop.create_datagram_endpoint(lambda: phone, local_addr=listen)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    await stop.wait()
    phone.close()
    transport.close()


def main() -> None:
    """Read the command line and be the phone."""
    parser = argparse.ArgumentParser(prog="python -m pbxtrack.lab.phone")
    parser.add_argument("--line", required=True, help="the line's name: sales")
    parser.add_argument("--listen", required=True, help="host:port (UDP)")
    parser.add_argument("--ledger", required=True, type=Path, help="the file of JSON lines to append to")
    given = parser.parse_args()
    host, _, port = given.listen.rpartition(":")
    asyncio.run(serve(given.line, (host, int(port)), given.ledger))


if __name__ == "__main__":
    main()

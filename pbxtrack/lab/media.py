"""The sound of the lab's phones and callers: session descriptions, and a voice over RTP (RFC 3550)."""

import asyncio
import contextlib
import re
import secrets
import socket
import struct
import time

FRAME = 160  # samples in 20 ms at 8 kHz
PERIOD = 0.02  # seconds


class Stream:
    """A voice on its way to somewhere, again and again. Begins when it is made."""

    def __init__(self, source: socket.socket, target: tuple[str, int], voice: bytes) -> None:
        self._socket, self._target, self._voice = source, target, voice
        self._id, self._sent, self._began = secrets.randbits(32), 0, time.monotonic()

    def send(self) -> float:
        """Send the next 20 ms; the seconds until those after it are due."""
        at = self._sent * FRAME
        header = struct.pack(">BBHII", 0x80, 0, self._sent & 0xFFFF, at & 0xFFFFFFFF, self._id)
        start = at % len(self._voice)
        with contextlib.suppress(OSError):  # the far side may have closed its port; people talk on
            self._socket.sendto(header + self._voice[start : start + FRAME], self._target)
        self._sent += 1
        return max(self._began + self._sent * PERIOD - time.monotonic(), 0.0)


class Media:
    """One UDP port for all calls of a phone. What arrives there is not read: the kernel drops it."""

    def __init__(self, host: str, voice: bytes) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.setblocking(False)
        self._voice = voice

    def sdp(self) -> str:
        """Our session description: µ-law, both ways."""
        host, port = self._socket.getsockname()
        lines = ["v=0", f"o=phone 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
        lines += [f"m=audio {port} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=ptime:20", "a=sendrecv"]
        return "\r\n".join([*lines, ""])

    async def talk(self, offer: str) -> None:
        """Talk to where the other side's session description says, until cancelled."""
        host, port = re.search(r"^c=IN IP4 (\S+)", offer, re.M), re.search(r"^m=audio (\d+)", offer, re.M)
        if not host or not port:
            return
        stream = Stream(self._socket, (host[1], int(port[1])), self._voice)
        while True:
            pause = stream.send()
            await asyncio.sleep(pause)

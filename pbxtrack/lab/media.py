"""The sound of the lab's phone: a session description, and a tone as G.711 µ-law over RTP (RFC 3550)."""

import asyncio
import contextlib
import math
import re
import secrets
import socket
import struct

FRAME = 160  # samples in 20 ms at 8 kHz


class Media:
    """One UDP port for all calls of a phone. What arrives there is not read: the kernel drops it."""

    def __init__(self, host: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.setblocking(False)

    def sdp(self) -> str:
        """Our session description: µ-law, both ways."""
        host, port = self._socket.getsockname()
        lines = ["v=0", f"o=phone 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
        lines += [f"m=audio {port} RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=ptime:20", "a=sendrecv"]
        return "\r\n".join([*lines, ""])

    async def tone(self, offer: str) -> None:
        """Send 400 Hz to where the other side's session description says, until cancelled."""
        host, port = re.search(r"^c=IN IP4 (\S+)", offer, re.M), re.search(r"^m=audio (\d+)", offer, re.M)
        if not host or not port:
            return
        target = (host[1], int(port[1]))
        source, number, loop = secrets.randbits(32), 0, asyncio.get_running_loop()
        began = loop.time()
        while True:
            header = struct.pack(">BBHII", 0x80, 0, number & 0xFFFF, number * FRAME & 0xFFFFFFFF, source)
            with contextlib.suppress(OSError):  # the far side may have closed its port; a phone talks on
                self._socket.sendto(header + _TONE, target)
            number += 1
            await asyncio.sleep(began + number * 0.02 - loop.time())


def _mulaw(sample: int) -> int:
    """ITU-T G.711 µ-law of a 16-bit sample."""
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, 32635) + 132
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF


# 400 Hz fits a 20 ms frame exactly 8 times, so that every frame is the same.
_TONE = bytes(_mulaw(int(8000 * math.sin(2 * math.pi * 400 * i / 8000))) for i in range(FRAME))

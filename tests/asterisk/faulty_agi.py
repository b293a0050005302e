"""FastAGI services that fail, each in its own way."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

Fault = Callable[[socket.socket, threading.Event], None]


def hangs(peer: socket.socket, over: threading.Event) -> None:
    over.wait(20)


def closes_at_once(peer: socket.socket, over: threading.Event) -> None:
    return


def closes_mid_header(peer: socket.socket, over: threading.Event) -> None:
    peer.recv(20)


def closes_mid_command(peer: socket.socket, over: threading.Event) -> None:
    _read_environment(peer)
    peer.sendall(b"SET VARIABLE PBXTR")


def resets(peer: socket.socket, over: threading.Event) -> None:
    _read_environment(peer)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def answers_rubbish(peer: socket.socket, over: threading.Event) -> None:
    _read_environment(peer)
    peer.sendall(bytes(range(256)).replace(b"\n", b"") * 8 + b"\nHTTP/1.1 400 Bad Request\n\n" * 20)


def answers_without_a_line(peer: socket.socket, over: threading.Event) -> None:
    _read_environment(peer)
    peer.sendall(b'SET VARIABLE PBXTRACK_CHANNEL "x"\n')
    peer.recv(100)


def sets_an_empty_line(peer: socket.socket, over: threading.Event) -> None:
    _read_environment(peer)
    peer.sendall(b'SET VARIABLE PBXTRACK_LINE ""\n')
    peer.recv(100)


def answers_too_late(peer: socket.socket, over: threading.Event) -> None:
    _read_environment(peer)
    over.wait(1.5)
    with contextlib.suppress(OSError):
        peer.sendall(b'SET VARIABLE PBXTRACK_LINE "PJSIP/nobody"\n')


@contextlib.contextmanager
def service(address: str, fault: Fault) -> Iterator[None]:
    """Serve the fault at ``host:port`` until the block ends."""
    host, _, port = address.rpartition(":")
    over = threading.Event()
    threads: list[threading.Thread] = []

    def serve(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.settimeout(5)
            fault(peer, over)

    def accept() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(peer,)))
            threads[-1].start()

    with socket.create_server((host, int(port)), backlog=50) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for thread in threads:
                thread.join()


def _read_environment(peer: socket.socket) -> None:
    data = b""
    while b"\n\n" not in data:
        more = peer.recv(4096)
        if not more:
            return
        data += more

"""What AMI's ratios are ratios to: a client that logs in, cuts the stream into messages and does nothing with them.

Run as a program, with the port and how many events to read; says how long it took from the first, and the processor's
share of that, in seconds.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from pbxtrack.ami.messages import MAX_MESSAGE, Parser, encode


def _read(port: int, events: int) -> dict[str, float]:
    parser, started, used = Parser(), 0.0, 0.0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(encode("Login", "1", {"Username": "pbxtrack", "Secret": "secret"}))
        while events > 0 and (data := connection.recv(MAX_MESSAGE)):
            messages = parser.feed(data)
            heard = sum("Event" in message for message in messages)
            if heard and not started:
                started, used = time.perf_counter(), time.process_time()
            elif messages and not started:
                print("logged in", flush=True)
            events -= heard
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}


if __name__ == "__main__":
    print(json.dumps(_read(*map(int, sys.argv[1:]))))

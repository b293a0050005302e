"""The few words of AMI that the lab itself needs: is Asterisk up, and one command."""

import contextlib
import socket
import time
from collections.abc import Iterator

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab.addresses import split

Fields = list[tuple[str, str]]


class AmiError(PbxtrackError):
    """The manager interface cannot be reached or refuses."""


class Ami:
    """A blocking AMI session. Every wait is bounded by `timeout` seconds."""

    def __init__(self, address: str, user: str, secret: str, timeout: float = 5.0) -> None:
        self._timeout = timeout
        try:
            self._socket = socket.create_connection(split(address), timeout)
        except OSError as error:
            raise AmiError(f"AMI at {address} cannot be reached: {error.strerror or error}") from error
        self._messages = self._read()
        try:
            answer = dict(self.ask(("Action", "Login"), ("Username", user), ("Secret", secret)))
        except AmiError:
            self.close()
            raise
        if answer.get("Response") != "Success":
            self.close()
            raise AmiError(f"AMI at {address} refuses the user {user}: {answer.get('Message')}")

    def __enter__(self) -> "Ami":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
        self._socket.close()

    def stream(self) -> Iterator[Fields]:
        """Every event from now on, until the connection is closed or nothing came for `timeout` seconds."""
        try:
            yield from self._messages
        except AmiError:
            return

    def ask(self, *fields: tuple[str, str]) -> Fields:
        """Send an action and return its response, repeated keys kept."""
        text = "".join(f"{key}: {value}\r\n" for key, value in (*fields, ("ActionID", "lab")))
        try:
            self._socket.sendall(f"{text}\r\n".encode())
        except OSError as error:
            raise AmiError(f"AMI: {error}") from error
        return next(message for message in self._until() if message[0][0] == "Response")

    def wait_for(self, event: str) -> None:
        """Return when `event` arrives."""
        next(message for message in self._until() if message[0] == ("Event", event))

    def command(self, line: str) -> str:
        """What Asterisk's command line prints for `line`."""
        answer = self.ask(("Action", "Command"), ("Command", line))
        return "\n".join(value for key, value in answer if key == "Output")

    def _until(self) -> Iterator[Fields]:
        deadline = time.monotonic() + self._timeout
        for message in self._messages:
            yield message
            if time.monotonic() > deadline:
                break
        raise AmiError(f"AMI did not answer within {self._timeout:.0f} s")

    def _read(self) -> Iterator[Fields]:
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                try:
                    data = self._socket.recv(65536)
                except OSError as error:
                    raise AmiError(f"AMI: {error}") from error
                if not data:
                    raise AmiError("AMI closed the connection")
                buffer += data
            message, _, buffer = buffer.partition(b"\r\n\r\n")
            lines = message.decode("utf-8", "replace").split("\r\n")
            pairs = [line.partition(": ") for line in lines if ": " in line]
            if pairs:
                yield [(key, value) for key, _, value in pairs]

"""An Asterisk's manager interface, for unit tests: a real TCP server that can be told to misbehave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

Fields = Mapping[str, str | Sequence[str]]
Answer = Callable[[dict[str, str]], Sequence[Fields] | None]
"""Answers an action with messages; None leaves it unanswered."""

GREETING = b"Asterisk Call Manager/11.0.0\r\n"


def encode(fields: Fields) -> bytes:
    """A message as Asterisk writes it; a list is a header repeated."""
    lines = [
        f"{name}: {item}" for name, value in fields.items() for item in ([value] if isinstance(value, str) else value)
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class FakeAsterisk:
    """Listens on a loopback port; ``async with`` starts and stops it.

    It keeps a database (DBPut, DBDel, DBGetTree) and channels (CoreShowChannels), and checks the log-in. ``actions``
    are all that it was asked, in order. ``mute`` leaves everything unanswered; ``answers`` replaces what it says to an
    action; ``greeting`` is what it begins with.
    """

    def __init__(self, username: str = "pbxtrack", secret: str = "secret") -> None:  # noqa: S107
        self.username, self.secret = username, secret
        self.greeting = GREETING
        self.mute = False
        self.answers: dict[str, Answer] = {}
        self.database: dict[str, str] = {}  # full key: value
        self.channels: list[Fields] = []
        self.actions: list[dict[str, str]] = []
        self.connections = 0
        self.logins = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._logged_in: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> FakeAsterisk:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; at the same port as before, if it listened before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every connection, as a restart does."""
        if self._server:
            self._server.close()
        self.cut()
        if self._server:
            await self._server.wait_closed()

    def cut(self, last: bytes = b"") -> None:
        """Cut the connections, after some last bytes."""
        for writer in list(self._writers):
            writer.write(last)
            writer.close()

    async def send(self, data: bytes | Fields) -> None:
        """Send to everybody who is logged in: bytes as they are, or a message."""
        for writer in list(self._logged_in):
            writer.write(data if isinstance(data, bytes) else encode(data))
            await writer.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self.connections += 1
        try:
            writer.write(self.greeting)
            while block := (await reader.readuntil(b"\r\n\r\n")).decode():
                action = dict(line.split(": ", 1) for line in block.split("\r\n") if ": " in line)
                self.actions.append(action)
                if not self.mute:
                    for fields in self._answer(action, writer):
                        writer.write(encode({**fields, "ActionID": action.get("ActionID", "")}))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            self._logged_in.discard(writer)
            writer.close()

    def _answer(self, action: dict[str, str], writer: asyncio.StreamWriter) -> Sequence[Fields]:
        name = action.get("Action", "")
        if name in self.answers:
            return self.answers[name](action) or ()
        if name == "Login":
            if (action.get("Username"), action.get("Secret")) != (self.username, self.secret):
                return [_error("Authentication failed")]
            self.logins += 1
            self._logged_in.add(writer)
            return [_success("Authentication accepted")]
        if writer not in self._logged_in:
            return [_error("Permission denied")]
        return self._obey(name, action)

    def _obey(self, name: str, action: dict[str, str]) -> Sequence[Fields]:
        family = f"/{action.get('Family', '')}/"
        key = family + action.get("Key", "")
        match name:
            case "Ping":
                return [{"Response": "Success", "Ping": "Pong"}]
            case "DBPut":
                self.database[key] = action["Val"]
                return [_success("Updated database successfully")]
            case "DBDel":
                if self.database.pop(key, None) is None:
                    return [_error("Database entry could not be deleted")]
                return [_success("Key deleted successfully")]
            case "DBGetTree":
                found = {name: value for name, value in self.database.items() if name.startswith(family)}
                return _list(
                    "DBGetTree", [{"Event": "DBGetTreeResponse", "Key": k, "Val": v} for k, v in found.items()]
                )
            case "CoreShowChannels":
                return _list(name, [{"Event": "CoreShowChannel", **channel} for channel in self.channels])
        return [_error(f"Invalid/unknown command: {name}.")]


def _success(message: str) -> Fields:
    return {"Response": "Success", "Message": message}


def _error(message: str) -> Fields:
    return {"Response": "Error", "Message": message}


def _list(name: str, items: Sequence[Fields]) -> Sequence[Fields]:
    end = {"Event": f"{name}Complete", "EventList": "Complete", "ListItems": str(len(items))}
    return [{"Response": "Success", "EventList": "start"}, *items, end]

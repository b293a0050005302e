"""Reads TOML files that people write, and knows on which line each value stands.

``tomllib`` gives no line numbers. :class:`Lines` finds them in a second pass over a text that is known to be valid,
so it need not check anything.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pbxtrack.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""Where a value is: keys of tables and indexes of arrays, such as ``("site", 0, "hold")``."""

MAX_BYTES = 64 * 1024 * 1024

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r'[ \t]*("(?:[^"\\]|\\.)*"|\'[^\']*\'|[A-Za-z0-9_-]+)[ \t]*')
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""(?:""|"(?!"))?'
    r"|'''(?:[^']|'(?!''))*'''(?:''|'(?!'))?"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}\n#]*")
_WHERE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class Lines:
    """The line (from 1) of each value of a TOML document."""

    def __init__(self, text: str) -> None:
        """``text`` must be valid TOML."""
        self._text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._known: dict[KeyPath, int] = {}
        self._tables: dict[KeyPath, int] = {}  # how many [[tables]] of a path there are so far
        self._document()

    def find(self, path: Sequence[str | int]) -> int:
        """The line of a path; of its nearest ancestor where it has none of its own; else 1."""
        for length in range(len(path), 0, -1):
            line = self._known.get(tuple(path[:length]))
            if line is not None:
                return line
        return 1

    def paths(self) -> frozenset[KeyPath]:
        """Every path that has a line."""
        return frozenset(self._known)

    def _document(self) -> None:
        table: KeyPath = ()
        at = self._blank(0)
        while at < len(self._text):
            if self._text[at] == "[":
                table, at = self._header(at)
            else:
                at = self._pair(at, table)
            at = self._blank(at)

    def _header(self, at: int) -> tuple[KeyPath, int]:
        many = self._text.startswith("[[", at)
        start = at
        keys, at = self._keys(at + (2 if many else 1))
        path: KeyPath = ()
        for number, key in enumerate(keys):
            path = (*path, key)
            if many and number == len(keys) - 1:
                self._note(path, start)
                self._tables[path] = self._tables.get(path, 0) + 1
            if path in self._tables:
                path = (*path, self._tables[path] - 1)
            self._note(path, start)
        return path, at + (2 if many else 1)

    def _pair(self, at: int, table: KeyPath) -> int:
        start = at
        keys, at = self._keys(at)
        for key in keys:
            table = (*table, key)
            self._note(table, start)
        return self._value(self._blank(at + 1), table)

    def _keys(self, at: int) -> tuple[list[str], int]:
        keys = []
        while True:
            match = _KEY.match(self._text, at)
            assert match is not None
            keys.append(_unquote(match[1]))
            at = match.end()
            if self._text[at : at + 1] != ".":
                return keys, at
            at += 1

    def _value(self, at: int, path: KeyPath) -> int:
        self._note(path, at)
        opening = self._text[at]
        if opening == "[":
            return self._array(at + 1, path)
        if opening == "{":
            return self._inline(at + 1, path)
        match = (_STRING if opening in "\"'" else _PLAIN).match(self._text, at)
        assert match is not None
        return match.end()

    def _array(self, at: int, path: KeyPath) -> int:
        index = 0
        while self._text[at := self._blank(at)] != "]":
            if self._text[at] == ",":
                at += 1
                continue
            at = self._value(at, (*path, index))
            index += 1
        return at + 1

    def _inline(self, at: int, path: KeyPath) -> int:
        while self._text[at := self._blank(at)] != "}":
            at = at + 1 if self._text[at] == "," else self._pair(at, path)
        return at + 1

    def _blank(self, at: int) -> int:
        match = _BLANK.match(self._text, at)
        assert match is not None
        return match.end()

    def _note(self, path: KeyPath, at: int) -> None:
        self._known.setdefault(path, bisect_right(self._starts, at))


def _unquote(key: str) -> str:
    return str(tomllib.loads(f"x = {key}")["x"]) if key[0] in "\"'" else key


def read(path: Path) -> tuple[dict[str, Any], Lines]:
    """A TOML file's data and lines; ConfigError, in one line that names the file, where it cannot be had."""
    return parse(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """What a file holds; ConfigError, in one line that names the file, where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory; name a file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse(content: bytes, name: str) -> tuple[dict[str, Any], Lines]:
    """Like :func:`read`, of what a file called ``name`` holds."""
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{name}: is larger than {MAX_BYTES // 1024**2} MB; that is no configuration")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: is not UTF-8 text") from None
    try:
        return tomllib.loads(text), Lines(text)
    except ValueError as error:  # tomllib's own error, or Python's for a number of thousands of digits
        raise ConfigError(_syntax_error(name, text, str(error))) from None
    except RecursionError:
        raise ConfigError(f"{name}: is nested too deeply") from None


def _syntax_error(name: str, text: str, message: str) -> str:
    where = _WHERE.search(message)
    if where is None:
        return f"{name}: is not valid TOML: {message}"
    line = int(where[1]) if where[1] else max(len(text.rstrip().split("\n")), 1)
    reason = message[: where.start()]
    return f"{name}:{line}: is not valid TOML: {reason[:1].lower()}{reason[1:]}"

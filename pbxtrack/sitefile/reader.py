"""A table of a TOML file, read key by key; what is wrong with it becomes one line that names the file and the line."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pbxtrack.errors import ConfigError, PbxtrackError
from pbxtrack.toml_lines import KeyPath, Lines
from pbxtrack.wrong import Wrong

T = TypeVar("T")


class Document(Protocol):
    """Where values are read from."""

    def error(self, path: KeyPath, wrong: Wrong) -> PbxtrackError:
        """The error of a value."""

    def taken(self, value: str, path: KeyPath) -> Wrong:
        """A value that may be there once only is at this path, too."""


@dataclass(frozen=True, slots=True)
class File:
    """A TOML file: its name, as the user wrote it, and where its values stand."""

    name: str
    lines: Lines

    def error(self, path: KeyPath, wrong: Wrong) -> ConfigError:
        """The error of a value, with its line and its keys."""
        keys = ".".join(key for key in path if isinstance(key, str))
        return ConfigError(f"{self.name}:{self.lines.find(path)}: {keys}: {wrong}")

    def taken(self, value: str, path: KeyPath) -> Wrong:
        """It is in another line."""
        return Wrong("%(value)s is in line %(line)s already", value=value, line=self.lines.find(path))


class Table:
    """One table. Every method raises the document's error where it says something else than it must."""

    def __init__(self, document: Document, path: KeyPath, values: object, known: Iterable[str]) -> None:
        self._document = document
        self.path = path
        if not isinstance(values, dict):
            name = ".".join(str(key) for key in path[::2])
            raise document.error(path, Wrong("must be written [[%(name)s]]", name=name))
        self._values: dict[str, Any] = values
        names = list(known)
        for key in values:
            if key not in names:
                similar = difflib.get_close_matches(key, names, 1, 0.6)
                hint = f"; did you mean {similar[0]}?" if similar else ""
                raise self.error(Wrong("unknown key%(hint)s", hint=hint), key)

    def error(self, wrong: Wrong, *keys: str | int) -> PbxtrackError:
        """The error of a value within this table."""
        return self._document.error((*self.path, *keys), wrong)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def required(self, key: str, read: Callable[[str], T], limit: int) -> T:
        """A text that must be there."""
        if key not in self._values:
            raise self.error(Wrong("the key %(key)s is missing", key=key))
        return self._read(key, read, limit)

    def text(self, key: str, read: Callable[[str], T], limit: int, default: T) -> T:
        """A text of at most ``limit`` characters, as ``read`` makes it."""
        return self._read(key, read, limit) if key in self._values else default

    def flag(self, key: str) -> bool:
        """true or false; false where it is not there."""
        value = self._values.get(key, False)
        if not isinstance(value, bool):
            raise self.error(Wrong("must be true or false"), key)
        return value

    def whole(self, key: str, least: int, most: int) -> int | None:
        """A whole number between these; None where it is not there."""
        value = self._values.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self.error(Wrong("must be a whole number, without quotes"), key)
        if value is not None and not least <= value <= most:
            raise self.error(Wrong("must be %(least)s to %(most)s", least=least, most=most), key)
        return value

    def texts(self, key: str, read: Callable[[str], T], limit: int = 200) -> list[tuple[T, KeyPath]]:
        """The texts of a list, as ``read`` makes them, each with its path."""
        found = []
        for index, value in enumerate(self._list(key)):
            path = (*self.path, key, index)
            found.append((self._convert(value, path, read, limit), path))
        return found

    def tables(self, key: str, known: Sequence[str]) -> list[Table]:
        """The tables ``[[key]]``."""
        return [
            Table(self._document, (*self.path, key, index), value, known)
            for index, value in enumerate(self._list(key, "must be written [[%(name)s]], once for each"))
        ]

    def mapping(self, key: str, known: Sequence[str], limit: int) -> dict[str, str]:
        """Texts by key, of a table of which only ``known`` keys are allowed."""
        values = self._values.get(key, {})
        if not isinstance(values, dict):
            raise self.error(Wrong('must be written { key = "value" }'), key)
        inner = Table(self._document, (*self.path, key), values, known)
        return {name: inner.required(name, str, limit) for name in values}

    def _list(self, key: str, message: str = "must be a list of texts in quotes") -> list[Any]:
        value = self._values.get(key, [])
        if not isinstance(value, list):
            names = [str(part) for part in self.path if isinstance(part, str)]
            raise self.error(Wrong(message, name=".".join([*names, key])), key)
        return value

    def _read(self, key: str, read: Callable[[str], T], limit: int) -> T:
        return self._convert(self._values[key], (*self.path, key), read, limit)

    def _convert(self, value: object, path: KeyPath, read: Callable[[str], T], limit: int) -> T:
        if not isinstance(value, str):
            raise self._document.error(path, Wrong("must be a text in quotes"))
        if len(value) > limit:
            raise self._document.error(path, Wrong("is longer than %(limit)s characters", limit=limit))
        try:
            return read(value)
        except Wrong as wrong:
            raise self._document.error(path, wrong) from None

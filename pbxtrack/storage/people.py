"""People who log in, and their sessions: passwords and sessions are kept as hashes only."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from pbxtrack.access import Access, Role
from pbxtrack.storage.secret_hash import hash_secret
from pbxtrack.storage.tables import people, sessions

MAX_NAME = 64  # characters
FREE_TRIES = 5
"""Wrong passwords in a row for which nobody waits."""
IDLE = timedelta(days=7)
LONGEST = timedelta(days=30)
"""A session ends when nobody has used it for so long, and after so long in any case."""

_LONGEST_LOCK = timedelta(minutes=15)
_NOTE_EVERY = timedelta(minutes=1)
_MOST_NOBODIES = 10_000


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may log in. ``sites`` (keys) are those that they see; None: all. ``language``: None: the browser's.

    ``choices`` are how they like their pages, by name.
    """

    id: int
    name: str
    role: Role
    sites: frozenset[str] | None
    language: str | None
    choices: dict[str, Any]
    created_at: datetime
    seen_at: datetime | None

    @property
    def access(self) -> Access:
        return Access(self.name, self.role, self.sites)


@dataclass(frozen=True, slots=True)
class Locked:
    """Too many wrong passwords; none is looked at before ``until``."""

    until: datetime


def add_person(
    connection: Connection, name: str, password: str, role: Role, sites: frozenset[str] | None, now: datetime
) -> Person:
    """Let somebody log in; ``password`` is its hash."""
    values: dict[str, Any] = {
        "name": name,
        "password": password,
        "role": role.value,
        "sites": None if sites is None else sorted(sites),
        "choices": {},
        "created_at": now,
    }
    return _person(connection.execute(people.insert().values(values).returning(people)).one())


def list_people(connection: Connection) -> list[Person]:
    """Everybody, by name."""
    return [_person(row) for row in connection.execute(select(people).order_by(people.c.name))]


def anybody(connection: Connection) -> bool:
    """Whether there is anybody who may log in."""
    return connection.execute(select(people.c.id).limit(1)).first() is not None


def find_person(connection: Connection, name: str) -> Person | None:
    """Somebody by name."""
    row = connection.execute(select(people).where(people.c.name == name)).one_or_none()
    return _person(row) if row else None


def change_person(connection: Connection, person_id: int, **values: Any) -> None:
    """Change ``role``, ``sites``, ``language`` or ``choices``."""
    if isinstance(values.get("sites"), frozenset):
        values["sites"] = sorted(values["sites"])
    connection.execute(update(people).where(people.c.id == person_id).values(values))


def change_password(connection: Connection, person_id: int, password: str) -> None:
    """Keep another password, by its hash, and end every session of theirs."""
    changed = {"password": password, "failures": 0, "locked_until": None}
    connection.execute(update(people).where(people.c.id == person_id).values(changed))
    connection.execute(delete(sessions).where(sessions.c.person_id == person_id))


def remove_person(connection: Connection, person_id: int) -> None:
    """Let somebody log in no more, and end their sessions. What they wrote on calls stays."""
    connection.execute(delete(people).where(people.c.id == person_id))


def try_to_log_in(connection: Connection, name: str, now: datetime) -> tuple[Person, str] | Locked | None:
    """Count a try before its password is looked at: (who, the password's hash); None for nobody.

    Counted first, and taken back by :func:`logged_in`, so that many tries at once are not one.
    """
    row = connection.execute(select(people).where(people.c.name == name).with_for_update()).one_or_none()
    if row is None:
        return None
    if row.locked_until is not None and row.locked_until > now:
        return Locked(row.locked_until)
    failures = row.failures + 1
    tried: dict[str, Any] = {"failures": failures}
    tried["locked_until"] = _locked_until(failures, now)
    connection.execute(update(people).where(people.c.id == row.id).values(tried))
    return _person(row), row.password


class Nobodies:
    """Names that nobody has, and how often they were tried: they are locked as others are, so that none is told apart.

    Of each process, and of the names tried last.
    """

    def __init__(self) -> None:
        self._tried: OrderedDict[str, tuple[int, datetime | None]] = OrderedDict()

    def tried(self, name: str, now: datetime) -> Locked | None:
        """Count a try, as :func:`try_to_log_in` does."""
        failures, locked_until = self._tried.pop(name, (0, None))
        if locked_until is not None and locked_until > now:
            self._tried[name] = failures, locked_until
            return Locked(locked_until)
        self._tried[name] = failures + 1, _locked_until(failures + 1, now)
        if len(self._tried) > _MOST_NOBODIES:
            self._tried.popitem(last=False)
        return None


def _locked_until(failures: int, now: datetime) -> datetime | None:
    """Until when no password is looked at after so many wrong ones."""
    if failures < FREE_TRIES:
        return None
    return now + min(timedelta(seconds=30 << min(failures - FREE_TRIES, 10)), _LONGEST_LOCK)


def logged_in(connection: Connection, person_id: int, now: datetime) -> str:
    """Begin a session; its secret, which the browser keeps."""
    connection.execute(
        update(people).where(people.c.id == person_id).values(failures=0, locked_until=None, seen_at=now)
    )
    connection.execute(delete(sessions).where(_over(now)))
    secret = secrets.token_urlsafe(32)
    values = {"sha256": hash_secret(secret), "person_id": person_id, "started_at": now, "seen_at": now}
    connection.execute(sessions.insert().values(values))
    return secret


def find_session(connection: Connection, secret: str, now: datetime) -> tuple[Person, bool] | None:
    """Whose session it is, and whether its use is to be noted (:func:`note_use`); None for none that is good."""
    row = connection.execute(
        select(people, sessions.c.seen_at.label("used_at"))
        .join_from(sessions, people, people.c.id == sessions.c.person_id)
        .where(sessions.c.sha256 == hash_secret(secret), ~_over(now))
    ).one_or_none()
    return (_person(row), now - row.used_at >= _NOTE_EVERY) if row else None


def note_use(connection: Connection, secret: str, now: datetime) -> None:
    """Note that a session was used now."""
    connection.execute(update(sessions).where(sessions.c.sha256 == hash_secret(secret)).values(seen_at=now))


def log_out(connection: Connection, secret: str) -> None:
    """End a session."""
    connection.execute(delete(sessions).where(sessions.c.sha256 == hash_secret(secret)))


def _over(now: datetime) -> Any:
    return (sessions.c.seen_at < now - IDLE) | (sessions.c.started_at < now - LONGEST)


def _person(row: Row[Any]) -> Person:
    sites: Sequence[str] | None = row.sites
    return Person(
        row.id, row.name, Role(row.role), None if sites is None else frozenset(sites), row.language, row.choices,
        row.created_at, row.seen_at,
    )  # fmt: skip

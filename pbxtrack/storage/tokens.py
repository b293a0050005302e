"""API tokens: shown once when they are made, kept as a hash only."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.sql import ColumnElement

from pbxtrack.access import Access, Role
from pbxtrack.storage.secret_hash import hash_secret
from pbxtrack.storage.tables import tokens

PREFIX = "pbx_"  # lets secret scanners, and people, see what a leaked text is
MAX_NAME = 100  # characters
NOTE_USE_EVERY = timedelta(minutes=1)

_COLUMNS: Sequence[ColumnElement[Any]] = (
    tokens.c.id,
    tokens.c.name,
    tokens.c.created_at,
    tokens.c.used_at,
    tokens.c.revoked_at,
    tokens.c.role,
    tokens.c.sites,
)


@dataclass(frozen=True, slots=True)
class Token:
    """An API token as it is kept. ``used_at`` is true to a minute; ``sites`` (keys) are those it is for; None: all."""

    id: int
    name: str
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None
    role: Role = Role.OWNER
    sites: frozenset[str] | None = None

    @property
    def access(self) -> Access:
        return Access(self.name, self.role, self.sites)

    def stale(self, now: datetime) -> bool:
        """Whether the note of its last use is old enough to be worth a write."""
        return self.used_at is None or now - self.used_at >= NOTE_USE_EVERY


def add_token(
    connection: Connection,
    name: str,
    now: datetime,
    role: Role = Role.OWNER,
    sites: frozenset[str] | None = None,
) -> tuple[Token, str]:
    """Make a token; (what is kept, the secret), of which the second is never to be had again."""
    secret = PREFIX + secrets.token_urlsafe(32)
    values = {
        "name": name[:MAX_NAME],
        "sha256": hash_secret(secret),
        "created_at": now,
        "role": role.value,
        "sites": None if sites is None else sorted(sites),
    }
    row = connection.execute(tokens.insert().values(values).returning(*_COLUMNS)).one()
    return _token(row), secret


def find_token(connection: Connection, secret: str) -> Token | None:
    """The token, unless there is none such or it was revoked."""
    row = connection.execute(
        select(*_COLUMNS).where(tokens.c.sha256 == hash_secret(secret), tokens.c.revoked_at.is_(None))
    ).one_or_none()
    return _token(row) if row else None


def note_use(connection: Connection, token_id: int, now: datetime) -> None:
    """Note that the token was used now."""
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(used_at=now))


def revoke_token(connection: Connection, token_id: int, now: datetime) -> bool:
    """Refuse the token from now on; False if there is none such, or it was revoked before."""
    revoked = connection.execute(
        update(tokens).where(tokens.c.id == token_id, tokens.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return revoked.rowcount == 1


def rename(connection: Connection, token_id: int, name: str) -> None:
    """Call a token otherwise."""
    connection.execute(update(tokens).where(tokens.c.id == token_id).values(name=name))


def list_tokens(connection: Connection) -> list[Token]:
    """Every token, revoked ones too, in the order they were made."""
    return [_token(row) for row in connection.execute(select(*_COLUMNS).order_by(tokens.c.id))]


def _token(row: Row[Any]) -> Token:
    sites = None if row.sites is None else frozenset(row.sites)
    return Token(row.id, row.name, row.created_at, row.used_at, row.revoked_at, Role(row.role), sites)

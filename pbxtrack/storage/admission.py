"""Who lets whom in: people and tokens made, changed and taken back by somebody, within what they may do themselves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from pbxtrack.access import Access, NotAllowed, NotTheirs, Right, Role
from pbxtrack.errors import PbxtrackError
from pbxtrack.storage import people, tokens
from pbxtrack.storage.people import Person
from pbxtrack.storage.sites import live_sites
from pbxtrack.storage.tokens import Token

MOST_ID = 10**15 - 1
"""Beyond this no id of people or tokens is looked for."""

Sites = frozenset[str] | None


class PoorName(PbxtrackError):
    """A name that nobody and nothing can have."""


class NameTaken(PbxtrackError):
    """Somebody else, or another token, has this name."""


class LastOwner(PbxtrackError):
    """Nobody would be left who may do everything."""


class NoSuchPerson(PbxtrackError):
    """There is nobody with this id whom whoever asks may see."""


class NoSuchToken(PbxtrackError):
    """There is no token with this id, in use, that whoever asks may see."""


def known_people(connection: Connection, access: Access) -> list[Person]:
    """Those whose role and sites are within one's own, by name."""
    return [person for person in people.list_people(connection) if access.covers(person.role, person.sites)]


def known_person(connection: Connection, access: Access, person_id: int) -> Person:
    """One of them; NoSuchPerson."""
    for person in known_people(connection, access):
        if person.id == person_id:
            return person
    raise NoSuchPerson("there is no such person")


def person_name(given: str) -> str:
    """A name as it is kept; PoorName."""
    name = given.strip().casefold()
    if not name or len(name) > people.MAX_NAME or not name.isprintable():
        raise PoorName(f"must be 1 to {people.MAX_NAME} printable characters")
    return name


def let_in(
    connection: Connection, access: Access, given: str, password: str, role: Role, sites: Sites, now: datetime
) -> Person:
    """Let somebody log in; ``password`` is its hash. Raises PoorName, NameTaken, NotAllowed, NotTheirs."""
    name = person_name(given)
    _lock(connection, "people")
    _require(connection, access, role, sites)
    if people.find_person(connection, name):
        raise NameTaken(f"there is a user {name!r} already")
    return people.add_person(connection, name, password, role, sites, now)


def change_access(connection: Connection, access: Access, person_id: int, role: Role, sites: Sites) -> Person:
    """Give somebody another role and other sites. Raises NoSuchPerson, NotAllowed, NotTheirs, LastOwner."""
    _lock(connection, "people")
    person = known_person(connection, access, person_id)
    _require(connection, access, role, sites)
    if role is not Role.OWNER or sites is not None:
        _not_the_last(connection, person)
    people.change_person(connection, person_id, role=role.value, sites=sites)
    return known_person(connection, access, person_id)


def let_out(connection: Connection, access: Access, person_id: int) -> Person:
    """Let somebody log in no more; who it was. Raises NoSuchPerson, LastOwner."""
    _lock(connection, "people")
    person = known_person(connection, access, person_id)
    _not_the_last(connection, person)
    people.remove_person(connection, person_id)
    return person


def give_password(connection: Connection, access: Access, person_id: int, password: str) -> Person:
    """Give somebody another password, by its hash, and end their sessions. Raises NoSuchPerson."""
    person = known_person(connection, access, person_id)
    people.change_password(connection, person_id, password)
    return person


def known_tokens(connection: Connection, access: Access) -> list[Token]:
    """The tokens whose role and sites are within one's own, revoked ones too, in the order they were made."""
    return [token for token in tokens.list_tokens(connection) if access.covers(token.role, token.sites)]


def known_token(connection: Connection, access: Access, token_id: int) -> Token:
    """One of them that is in use; NoSuchToken."""
    for token in known_tokens(connection, access):
        if token.id == token_id and token.revoked_at is None:
            return token
    raise NoSuchToken("there is no such token in use")


def token_name(given: str) -> str:
    """A name as it is kept; PoorName. Digits alone would be taken for an id."""
    name = given.strip()
    if not name or len(name) > tokens.MAX_NAME or not name.isprintable() or name.isdecimal():
        raise PoorName(f"must be 1 to {tokens.MAX_NAME} printable characters, not all of them digits")
    return name


def issue(
    connection: Connection, access: Access, given: str, role: Role, sites: Sites, now: datetime
) -> tuple[Token, str]:
    """Make a token: (what is kept, its secret). Raises PoorName, NameTaken, NotAllowed, NotTheirs."""
    name = token_name(given)
    _lock(connection, "tokens")
    _require(connection, access, role, sites)
    if any(token.name == name and token.revoked_at is None for token in tokens.list_tokens(connection)):
        raise NameTaken(f"there is a token {name!r} already; revoke it first, or choose another name")
    return tokens.add_token(connection, name, now, role, sites)


def rename_token(connection: Connection, access: Access, token_id: int, given: str) -> Token:
    """Call a token otherwise. Raises NoSuchToken, PoorName, NameTaken."""
    name = token_name(given)
    _lock(connection, "tokens")
    known_token(connection, access, token_id)
    live = [token for token in tokens.list_tokens(connection) if token.revoked_at is None]
    if any(token.name == name and token.id != token_id for token in live):
        raise NameTaken(f"there is a token {name!r} already; choose another name")
    tokens.rename(connection, token_id, name)
    return known_token(connection, access, token_id)


def withdraw(connection: Connection, access: Access, token_id: int, now: datetime) -> Token:
    """Refuse a token from now on; which it was. Raises NoSuchToken."""
    token = known_token(connection, access, token_id)
    tokens.revoke_token(connection, token_id, now)
    return token


def _require(connection: Connection, access: Access, role: Role, sites: Sites) -> None:
    if not access.may(Right.PEOPLE) or not access.covers(role, sites):
        raise NotAllowed("nobody can give rights, or sites, that they do not have themselves")
    there = {site.key for site in live_sites(connection)}
    if unknown := sorted((sites or frozenset()) - there):
        raise NotTheirs(f"there is no site {unknown[0][:64]!r}")


def _not_the_last(connection: Connection, person: Person) -> None:
    """LastOwner where nobody else may do everything at every site."""
    if person.role is not Role.OWNER or person.sites is not None:
        return
    if not any(
        other.role is Role.OWNER and other.sites is None and other.id != person.id
        for other in people.list_people(connection)
    ):
        raise LastOwner(f"{person.name!r} is the only owner of all sites; make another one first")


def _lock(connection: Connection, table: str) -> None:
    """Let nobody else write there until this transaction ends. SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))

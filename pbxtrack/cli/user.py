"""``pbxtrack user``: people who log in to the dashboard."""

from __future__ import annotations

import sys

import click
from sqlalchemy import Connection

from pbxtrack.access import Role
from pbxtrack.cli.access import HERE, named, require_sites, role_option, sites_option, told_access, told_sites
from pbxtrack.cli.common import now, open_database
from pbxtrack.cli.options import json_option, print_json
from pbxtrack.cli.text import second, visible
from pbxtrack.errors import PbxtrackError
from pbxtrack.passwords import hash_password, make_password
from pbxtrack.storage import people
from pbxtrack.storage.admission import let_in, let_out, person_name
from pbxtrack.storage.people import Person

_STDIN = click.option("--password-stdin", is_flag=True, help="Read the password from standard input, one line.")
_MADE = click.option("--generate", is_flag=True, help="Make a password and print it.")


@click.group()
def user() -> None:
    """People who log in to the dashboard."""


@user.command()
@click.argument("name")
@role_option(Role.MANAGER)
@sites_option
@_STDIN
@_MADE
@json_option
def add(
    name: str, role: Role, sites: frozenset[str] | None, password_stdin: bool, generate: bool, as_json: bool
) -> None:
    """Let somebody log in. Without an option for it, the password is asked for twice.

    The first one to be added is an owner, whatever the role says: somebody must be able to do everything.
    """
    name = named(person_name, name)
    with open_database() as database:
        with database.reading() as connection:
            if people.find_person(connection, name):
                raise PbxtrackError(f"there is a user {name!r} already; `pbxtrack user passwd` sets another password")
            require_sites(connection, sites)
        password = _password(password_stdin, generate)
        kept = hash_password(password, name)
        with database.transaction() as connection:
            if not people.anybody(connection):
                role, sites = Role.OWNER, None
            person = let_in(connection, HERE, name, kept, role, sites, now())
    told = {"name": person.name, **told_access(person.access)}
    if as_json:
        print_json({**told, **({"password": password} if generate else {})})
        return
    if generate:
        click.echo(password)
    click.echo(f"{visible(person.name)} may log in: {role.value}, sites: {told_sites(sites)}", err=generate)


@user.command()
@click.argument("name")
@_STDIN
@_MADE
def passwd(name: str, password_stdin: bool, generate: bool) -> None:
    """Set another password. Every session of theirs ends."""
    with open_database() as database:
        with database.reading() as connection:
            person = _found(connection, name)
        password = _password(password_stdin, generate)
        kept = hash_password(password, person.name)
        with database.transaction() as connection:
            people.change_password(connection, person.id, kept)
    if generate:
        click.echo(password)
    click.echo(f"{visible(person.name)} has another password, and is logged out everywhere", err=generate)


@user.command()
@click.argument("name")
def remove(name: str) -> None:
    """Let somebody log in no more. What they wrote on calls stays."""
    with open_database() as database, database.transaction() as connection:
        person = let_out(connection, HERE, _found(connection, name).id)
    click.echo(f"{visible(person.name)} may log in no more")


@user.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """Everybody who may log in."""
    with open_database() as database, database.reading() as connection:
        found = people.list_people(connection)
    if as_json:
        print_json(
            [
                {"name": one.name, **told_access(one.access), "created_at": one.created_at, "seen_at": one.seen_at}
                for one in found
            ]
        )
        return
    if not found:
        click.echo("nobody may log in yet; add somebody with `pbxtrack user add NAME`")
        return
    from pbxtrack.cli.table import Column, print_table

    columns = [Column("Name", least=12), Column("Role"), Column("Sites"), Column("Last log-in (UTC)")]
    print_table(columns, [[one.name, one.role.value, told_sites(one.sites), second(one.seen_at)] for one in found])


def _found(connection: Connection, name: str) -> Person:
    person = people.find_person(connection, name.strip().casefold())
    if person is None:
        raise PbxtrackError(f"there is no user {name!r}; see `pbxtrack user list`")
    return person


def _password(stdin: bool, generate: bool) -> str:
    if stdin and generate:
        raise click.UsageError("--password-stdin and --generate cannot be given together.")
    if generate:
        return make_password()
    if stdin or not sys.stdin.isatty():
        return sys.stdin.readline(1_000).rstrip("\r\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password

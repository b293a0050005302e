"""`pbxtrack user`, and what tokens are for."""

from __future__ import annotations

import json
from io import StringIO

import pytest

from tests.unit.test_cli import Cli, cli, ready  # noqa: F401 (fixtures)


def listed(ready: Cli) -> dict[str, tuple[str, list[str] | None]]:  # noqa: F811
    return {one["name"]: (one["role"], one["sites"]) for one in json.loads(ready("user", "list", "--json").out)}


def test_the_first_one_is_an_owner_and_others_what_is_said(ready: Cli) -> None:  # noqa: F811
    assert "nobody may log in yet" in ready("user", "list").out
    first = json.loads(ready("user", "add", "Ann", "--generate", "--json").out)
    assert len(first["password"]) >= 16
    ready("user", "add", "max", "--site", "demo", "--generate")
    ready("user", "add", "eve", "--role", "engineer", "--generate")
    assert listed(ready) == {"ann": ("owner", None), "eve": ("engineer", None), "max": ("manager", ["demo"])}
    assert "never" in ready("user", "list").out


def test_what_cannot_be(ready: Cli, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("sys.stdin", StringIO("short\n"))
    ready("user", "add", "ann", "--generate")
    assert ready.fails("user", "add", "ANN", "--generate").startswith("pbxtrack: there is a user 'ann' already")
    assert "there is no site 'nowhere'; there is demo" in ready.fails("user", "add", "x", "--site", "nowhere")
    assert "'ann' is the only owner" in ready.fails("user", "remove", "ann")
    assert "there is no user 'x'; see `pbxtrack user list`" in ready.fails("user", "passwd", "x")
    assert ready.fails("user", "add", "x", "--password-stdin") == "pbxtrack: a password needs 10 characters at least"


def test_another_password_and_removal(ready: Cli) -> None:  # noqa: F811
    before = ready("user", "add", "ann", "--generate").out
    assert ready("user", "passwd", "ann", "--generate").out != before
    ready("user", "add", "max", "--role", "owner", "--generate")
    ready("user", "remove", "ann")
    assert listed(ready) == {"max": ("owner", None)}


def test_a_token_of_one_site(ready: Cli) -> None:  # noqa: F811
    made = json.loads(ready("token", "add", "crm", "--role", "manager", "--site", "demo", "--json").out)
    assert (made["role"], made["sites"]) == ("manager", ["demo"])
    assert "there is no site 'nowhere'" in ready.fails("token", "add", "bi", "--site", "nowhere")
    (kept,) = json.loads(ready("token", "list", "--json").out)
    assert (kept["name"], kept["sites"]) == ("crm", ["demo"])

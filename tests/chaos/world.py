"""Everything that can break: an Asterisk, two pbxtracks on a PostgreSQL or one on SQLite, the links between them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg

from pbxtrack.lab import Lab
from pbxtrack.lab.addresses import split
from tests import postgres
from tests.asterisk import labs
from tests.chaos.links import Link, Loop
from tests.chaos.servers import Server, ask

SITE = Path(__file__).parents[1] / "asterisk" / "site.toml"
DIAL_TIMEOUT = 2  # s
_PATIENCE = 60.0  # s
DATABASE = "chaos"


@dataclass
class Postgresql:
    """A PostgreSQL, and the link by which the pbxtracks reach it."""

    cluster: postgres.Cluster
    link: Link

    def sql(self, *statements: LiteralString) -> None:
        """Tell it something, past the link."""
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection past the link, without transactions."""
        return psycopg.connect(host=str(self.cluster.folder), user="postgres", dbname=DATABASE, autocommit=True)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of it."""
        for pid in self.cluster.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


@dataclass
class World:
    """What there is. ``asterisk_gone`` are the times (s since 1970) between which Asterisk was not there."""

    lab: Lab
    servers: list[Server]
    ami: Link
    postgresql: Postgresql | None  # else it is SQLite
    token: str = ""
    asterisk_gone: list[tuple[float, float]] = field(default_factory=list)

    def calls(self, since: str) -> list[dict[str, Any]] | None:
        """The call log from a time on, as the first service that answers tells it; None while none does."""
        for server in self.servers:
            found: list[dict[str, Any]] = []
            cursor = ""
            while True:
                url = f"{server.url}/api/v1/calls?limit=250&since={quote(since)}{cursor}"
                status, answer, _ = ask(url, headers={"Authorization": f"Bearer {self.token}"})
                if status != 200:
                    break
                found += answer["items"]
                if not answer["next"]:
                    return found
                cursor = f"&cursor={quote(answer['next'])}"
        return None

    @property
    def sqlite(self) -> Path:
        """SQLite's file, where that is the database."""
        return self.lab.root / "pbxtrack.db"

    def evidence(self, linkedid: str) -> list[str]:
        """The facts of a call, and what Asterisk wrote of it."""
        statement: LiteralString = "SELECT at, kind, leg, data, recorded_at FROM call_facts WHERE linkedid = "
        order: LiteralString = " ORDER BY at, id"
        rows: Iterable[tuple[Any, ...]]
        if self.postgresql:
            with self.postgresql.connect() as connection:
                rows = connection.execute(statement + "%s" + order, (linkedid,)).fetchall()
        else:
            with contextlib.closing(sqlite3.connect(self.sqlite)) as lite:
                rows = lite.execute(statement + "?" + order, (linkedid,)).fetchall()
        file = self.lab.log_dir / "cel-custom" / "pbxtrack.csv"
        told = [line for line in file.read_text("utf-8", "replace").splitlines() if f'"{linkedid}"' in line]
        return [" ".join(map(str, row)) for row in rows] + told

    def until_well(self) -> None:
        """Wait until both services say that they are ready."""
        for server in self.servers:
            if not server.runs:
                server.start()
        self.until(lambda: all(server.ready() for server in self.servers))

    def until(self, condition: Callable[[], object], seconds: float = _PATIENCE) -> None:
        """Wait for something; what the services said last where it does not come."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("\n".join(f"{each.name}: {each.last_words()}" for each in self.servers))
            time.sleep(0.1)


@contextlib.contextmanager
def world(database: str) -> Iterator[World]:
    """Make it, on "postgresql" or "sqlite", and leave nothing behind."""
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(labs.up(labs.fresh_name(), "rootfs", attached=True, dial_timeout=DIAL_TIMEOUT))
        host = lab.addresses.host
        loop = stack.enter_context(Loop())
        ami = Link(loop, (host, 5039), split(lab.addresses.ami))
        stack.callback(ami.close)
        ami.open()
        environment = {"PBXTRACK_CONFIG": str(lab.config_path), "PBXTRACK_AMI__PORT": "5039"}
        postgresql, names = None, "A"
        if database == "postgresql":
            postgresql, names = _postgresql(stack, loop, host), "AB"
            environment["PBXTRACK_DATABASE__URL"] = f"postgresql://postgres@{host}:5432/{DATABASE}"
        agi = [f"{host}:{4573 + index}" for index in range(len(names))]
        _wire(lab, agi, environment)
        servers = [
            Server(name, f"{host}:{8080 + index}", {**environment, "PBXTRACK_AGI__LISTEN": agi[index]}, lab.log_dir)
            for index, name in enumerate(names)
        ]
        made = World(lab, servers, ami, postgresql)
        made.token = json.loads(_command(environment, "token", "add", "chaos", "--json"))["token"]
        stack.callback(_end, servers)
        made.until_well()
        yield made


def _postgresql(stack: contextlib.ExitStack, loop: Loop, host: str) -> Postgresql:
    cluster = postgres.Cluster(durable=True)
    stack.callback(cluster.remove)
    cluster.create()
    cluster.start()
    stack.callback(cluster.stop)
    postgres.create(str(cluster.folder), DATABASE)
    link = Link(loop, (host, 5432), f"{cluster.folder}/.s.PGSQL.5432")
    stack.callback(link.close)
    link.open()
    return Postgresql(cluster, link)


def _wire(lab: Lab, agi: list[str], environment: dict[str, str]) -> None:
    """As the documents say: the tables, the site, and a dialplan that asks one service after another."""
    _command(environment, "db", "upgrade")
    _command(environment, "apply", str(SITE))
    options = [option for address in agi for option in ("--agi", address)]
    plain = {name: value for name, value in environment.items() if name != "PBXTRACK_AMI__PORT"}
    _command(plain, "asterisk-conf", *options, "--permit", "127.0.0.0/8", "--out", str(lab.root / "etc"))
    lab.asterisk("dialplan reload")


def _command(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pbxtrack", *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def _end(servers: list[Server]) -> None:
    for server in servers:
        if server.runs:
            server.send(signal.SIGCONT)
            server.kill()

"""Everything that can break: an Asterisk, a PostgreSQL, two pbxtracks, and the links between them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg

from pbxtrack.lab import Lab
from pbxtrack.lab.addresses import split
from tests import postgres
from tests.chaos.links import Link, Loop
from tests.chaos.servers import Server, ask

SITE = Path(__file__).parents[1] / "asterisk" / "site.toml"
DIAL_TIMEOUT = 2  # s
_PATIENCE = 60.0  # s
DATABASE = "chaos"


@dataclass
class World:
    """What there is. ``asterisk_gone`` are the times (s since 1970) between which Asterisk was not there."""

    lab: Lab
    cluster: postgres.Cluster
    servers: list[Server]
    database: Link
    ami: Link
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

    def sql(self, *statements: LiteralString) -> None:
        """Tell PostgreSQL something, past the link."""
        folder = str(self.cluster.folder)
        with psycopg.connect(host=folder, user="postgres", dbname=DATABASE, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def evidence(self, linkedid: str) -> list[str]:
        """The facts of a call, and what Asterisk wrote of it."""
        folder = str(self.cluster.folder)
        statement = "SELECT at, kind, leg, data, recorded_at FROM call_facts WHERE linkedid = %s ORDER BY at, id"
        with psycopg.connect(host=folder, user="postgres", dbname=DATABASE) as connection:
            facts = [" ".join(map(str, row)) for row in connection.execute(statement, (linkedid,))]
        file = self.lab.log_dir / "cel-custom" / "pbxtrack.csv"
        return facts + [line for line in file.read_text("utf-8", "replace").splitlines() if f'"{linkedid}"' in line]

    def signal_database(self, number: signal.Signals) -> None:
        """Send a signal to every process of PostgreSQL."""
        for pid in self.cluster.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

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
def world() -> Iterator[World]:
    """Make it, and leave nothing behind."""
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(
            Lab.up(f"chaos{uuid.uuid4().hex[:8]}", "rootfs", attached=True, dial_timeout=DIAL_TIMEOUT)
        )
        cluster = postgres.Cluster(durable=True)
        stack.callback(cluster.remove)
        cluster.create()
        cluster.start()
        stack.callback(cluster.stop)
        postgres.create(str(cluster.folder), DATABASE)
        loop = stack.enter_context(Loop())
        host = lab.addresses.host
        database = Link(loop, (host, 5432), f"{cluster.folder}/.s.PGSQL.5432")
        ami = Link(loop, (host, 5039), split(lab.addresses.ami))
        for link in (database, ami):
            stack.callback(link.close)
            link.open()
        environment = {
            "PBXTRACK_CONFIG": str(lab.config_path),
            "PBXTRACK_DATABASE__URL": f"postgresql://postgres@{host}:5432/{DATABASE}",
            "PBXTRACK_AMI__PORT": "5039",
        }
        agi = [f"{host}:4573", f"{host}:4574"]
        _wire(lab, agi, environment)
        servers = [
            Server(name, f"{host}:{8080 + index}", {**environment, "PBXTRACK_AGI__LISTEN": agi[index]}, lab.log_dir)
            for index, name in enumerate(("A", "B"))
        ]
        made = World(lab, cluster, servers, database, ami)
        made.token = json.loads(_command(environment, "token", "add", "chaos", "--json"))["token"]
        stack.callback(_end, servers)
        made.until_well()
        yield made


def _wire(lab: Lab, agi: list[str], environment: dict[str, str]) -> None:
    """As the documents say: the tables, the site, and a dialplan that asks the second service after the first."""
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

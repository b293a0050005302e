"""The programs of a benchmark that needs no Asterisk: the server under test, the bare one, the client."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import site
from pbxtrack.sitefile.parse import parse
from pbxtrack.storage import migrate, sites
from pbxtrack.storage.database import Database
from tests import postgres

ROOT = Path(__file__).parents[1]


class Server(NamedTuple):
    """A server that runs."""

    port: int
    pid: int


@contextlib.contextmanager
def server(module: str, *arguments: str) -> Iterator[Server]:
    """Run a server for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(int(process.stdout.readline()), process.pid)
    finally:
        process.stdin.close()
        if module in ("bare", "responder"):
            process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def client(kind: str, port: int, count: int, concurrency: int, numbers: list[str]) -> dict[str, Any]:
    """Run the client to its end; what it measured."""
    order = {"kind": kind, "port": port, "count": count, "concurrency": concurrency, "numbers": numbers}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.client"],
        cwd=ROOT, input=json.dumps(order), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextlib.contextmanager
def sqlite() -> Iterator[str]:
    """A SQLite file's address."""
    with tempfile.TemporaryDirectory(prefix="pbxtrack-bench-") as folder:
        yield f"sqlite:///{folder}/pbxtrack.db"


@contextlib.contextmanager
def postgresql(*, durable: bool) -> Iterator[str]:
    """The address of a database in a PostgreSQL of our own. Unless it is to be ``durable``, it skips the disk."""
    with postgres.cluster(durable=durable) as folder:
        yield postgres.create(folder, "bench")


def furnish(url: str, pool: str, leased: int = site.LEASES) -> list[str]:
    """Make the tables and the site, and lease some of its numbers; those."""
    database = Database(url)
    try:
        migrate.upgrade(database)
        wanted = parse(site.text(pool).encode(), "site.toml", "RU")
        with database.transaction() as connection:
            moment = site.now()
            plan = sites.plan(connection, wanted, moment)
            sites.apply(connection, wanted, plan.held, moment)
        return site.lease(database, leased)
    finally:
        database.close()

"""What can go wrong: each fault is begun, lasts, and ends. Two of different parts may be begun side by side."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import LiteralString

import psycopg

from tests.chaos.world import Postgresql, World

End = Callable[[], None]


@dataclass(frozen=True)
class Fault:
    """``begin`` breaks something, and returns what mends it. ``on``: with which of the databases it can be."""

    name: str
    part: str
    begin: Callable[[World], End]
    on: str = "postgresql, sqlite"


def singles(database: str) -> list[Fault]:
    """Every fault that can be."""
    return [fault for fault in FAULTS if database in fault.on]


def pairs(database: str) -> list[tuple[Fault, Fault]]:
    """Every two that are of different parts."""
    return [pair for pair in combinations(singles(database), 2) if pair[0].part != pair[1].part]


def _kill_first(world: World) -> End:
    world.servers[0].kill()
    return world.servers[0].start


def _kill_second(world: World) -> End:
    world.servers[1].kill()
    return world.servers[1].start


def _kill_all(world: World) -> End:
    for server in world.servers:
        server.kill()

    def start() -> None:
        for server in world.servers:
            server.start()

    return start


def _restart_in_turn(world: World) -> End:
    """A rolling restart: one after the other, each as soon as the one before it is ready."""
    first, *others = world.servers
    assert first.end() == 0, first.last_words()

    def go_on() -> None:
        first.start()
        before = first
        for server in others:
            deadline = time.monotonic() + 20
            while not before.ready() and time.monotonic() < deadline:
                time.sleep(0.05)
            code = server.end()
            server.start()
            assert code == 0, server.last_words()
            before = server

    return go_on


def _freeze(world: World) -> End:
    for server in world.servers:
        server.send(signal.SIGSTOP)

    def go_on() -> None:
        for server in world.servers:
            server.send(signal.SIGCONT)

    return go_on


def _signal_workers(world: World, number: signal.Signals) -> None:
    for server in world.servers:
        if (worker := server.worker()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, number)


def _kill_workers(world: World) -> End:
    _signal_workers(world, signal.SIGKILL)
    return lambda: None


def _freeze_workers(world: World) -> End:
    _signal_workers(world, signal.SIGSTOP)
    return lambda: _signal_workers(world, signal.SIGCONT)


def _postgresql(break_it: Callable[[Postgresql], End]) -> Callable[[World], End]:
    def begin(world: World) -> End:
        assert world.postgresql is not None
        return break_it(world.postgresql)

    return begin


def _kill_database(database: Postgresql) -> End:
    os.kill(database.cluster.processes()[0], signal.SIGKILL)

    def start() -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                database.cluster.start()
            except RuntimeError:  # those of before have not all gone
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    return start


def _freeze_database(database: Postgresql) -> End:
    database.signal(signal.SIGSTOP)
    return lambda: database.signal(signal.SIGCONT)


def _cut_database(database: Postgresql) -> End:
    database.link.cut()
    return database.link.open


def _mute_database(database: Postgresql) -> End:
    database.link.mute()
    return database.link.open


def _read_only_database(database: Postgresql) -> End:
    setting: LiteralString = "default_transaction_read_only"
    database.sql(f"ALTER SYSTEM SET {setting} = on", "SELECT pg_reload_conf()")
    return lambda: database.sql(f"SET {setting} = off", f"ALTER SYSTEM RESET {setting}", "SELECT pg_reload_conf()")


def _lock_database(database: Postgresql) -> End:
    """As by a migration or a dump that takes long."""
    connection = database.connect()
    connection.autocommit = False
    connection.execute("SET lock_timeout = '1s'")
    with contextlib.suppress(psycopg.errors.LockNotAvailable):
        connection.execute("LOCK TABLE calls, call_facts, leases, numbers IN ACCESS EXCLUSIVE MODE")
    return connection.close


def _lock_sqlite(world: World) -> End:
    """As by a program that writes to it and does not come to an end."""
    connection = sqlite3.connect(world.sqlite, timeout=5, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    return connection.close


def _cut_ami(world: World) -> End:
    world.ami.cut()
    return world.ami.open


def _mute_ami(world: World) -> End:
    world.ami.mute()
    return world.ami.open


def _kill_asterisk(world: World) -> End:
    killed_at = time.time()
    world.lab.stop_asterisk(kill=True)

    def start() -> None:
        world.lab.start_asterisk()
        world.asterisk_gone.append((killed_at, time.time()))

    return start


FAULTS = (
    Fault("a pbxtrack killed", "pbxtrack", _kill_first, "postgresql"),
    Fault("the other pbxtrack killed", "pbxtrack", _kill_second, "postgresql"),
    Fault("every pbxtrack killed", "pbxtrack", _kill_all),
    Fault("every pbxtrack frozen", "pbxtrack", _freeze),
    Fault("every pbxtrack restarted in turn", "pbxtrack", _restart_in_turn),
    Fault("FastAGI's processes killed", "FastAGI", _kill_workers),
    Fault("FastAGI's processes frozen", "FastAGI", _freeze_workers),
    Fault("PostgreSQL killed", "database", _postgresql(_kill_database), "postgresql"),
    Fault("PostgreSQL frozen", "database", _postgresql(_freeze_database), "postgresql"),
    Fault("PostgreSQL cut off", "database", _postgresql(_cut_database), "postgresql"),
    Fault("PostgreSQL mute", "database", _postgresql(_mute_database), "postgresql"),
    Fault("PostgreSQL read-only", "database", _postgresql(_read_only_database), "postgresql"),
    Fault("PostgreSQL's tables locked", "database", _postgresql(_lock_database), "postgresql"),
    Fault("SQLite locked", "database", _lock_sqlite, "sqlite"),
    Fault("AMI cut off", "AMI", _cut_ami),
    Fault("AMI mute", "AMI", _mute_ami),
    Fault("Asterisk killed", "Asterisk", _kill_asterisk),
)


@contextlib.contextmanager
def mended(world: World, ends: list[End]) -> Iterator[None]:
    """Whatever happens in the block, what is still broken is mended after it."""
    try:
        yield
    finally:
        while ends:
            ends.pop()()

"""What can go wrong: each fault is begun, lasts, and ends. Two of different parts may be begun side by side."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import LiteralString

import psycopg

from tests.chaos.world import DATABASE, World

End = Callable[[], None]


@dataclass(frozen=True)
class Fault:
    """``begin`` breaks something, and returns what mends it."""

    name: str
    part: str
    begin: Callable[[World], End]


def singles() -> list[Fault]:
    """Every fault."""
    return list(FAULTS)


def pairs() -> list[tuple[Fault, Fault]]:
    """Every two that are of different parts."""
    return [pair for pair in combinations(FAULTS, 2) if pair[0].part != pair[1].part]


def _kill_first(world: World) -> End:
    world.servers[0].kill()
    return world.servers[0].start


def _kill_second(world: World) -> End:
    world.servers[1].kill()
    return world.servers[1].start


def _kill_both(world: World) -> End:
    for server in world.servers:
        server.kill()

    def start() -> None:
        for server in world.servers:
            server.start()

    return start


def _restart_both_in_turn(world: World) -> End:
    """A rolling restart: one after the other, each as soon as the one before it is ready."""
    first, second = world.servers
    assert first.end() == 0

    def go_on() -> None:
        first.start()
        deadline = time.monotonic() + 20
        while not first.ready() and time.monotonic() < deadline:
            time.sleep(0.05)
        code = second.end()
        second.start()
        assert code == 0, second.last_words()

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


def _kill_database(world: World) -> End:
    os.kill(world.cluster.processes()[0], signal.SIGKILL)

    def start() -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                world.cluster.start()
            except RuntimeError:  # those of before have not all gone
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    return start


def _freeze_database(world: World) -> End:
    world.signal_database(signal.SIGSTOP)
    return lambda: world.signal_database(signal.SIGCONT)


def _cut_database(world: World) -> End:
    world.database.cut()
    return world.database.open


def _mute_database(world: World) -> End:
    world.database.mute()
    return world.database.open


def _read_only_database(world: World) -> End:
    setting: LiteralString = "default_transaction_read_only"
    world.sql(f"ALTER SYSTEM SET {setting} = on", "SELECT pg_reload_conf()")
    return lambda: world.sql(f"SET {setting} = off", f"ALTER SYSTEM RESET {setting}", "SELECT pg_reload_conf()")


def _locked_database(world: World) -> End:
    """As by a migration or a dump that takes long."""
    connection: psycopg.Connection[tuple[object, ...]] = psycopg.connect(
        host=str(world.cluster.folder), user="postgres", dbname=DATABASE
    )
    connection.execute("SET lock_timeout = '1s'")
    with contextlib.suppress(psycopg.errors.LockNotAvailable):
        connection.execute("LOCK TABLE calls, call_facts, leases, numbers IN ACCESS EXCLUSIVE MODE")
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
    Fault("one pbxtrack killed", "pbxtrack", _kill_first),
    Fault("the other pbxtrack killed", "pbxtrack", _kill_second),
    Fault("both pbxtracks killed", "pbxtrack", _kill_both),
    Fault("both pbxtracks frozen", "pbxtrack", _freeze),
    Fault("both pbxtracks restarted in turn", "pbxtrack", _restart_both_in_turn),
    Fault("FastAGI's processes killed", "FastAGI", _kill_workers),
    Fault("FastAGI's processes frozen", "FastAGI", _freeze_workers),
    Fault("PostgreSQL killed", "database", _kill_database),
    Fault("PostgreSQL frozen", "database", _freeze_database),
    Fault("PostgreSQL cut off", "database", _cut_database),
    Fault("PostgreSQL mute", "database", _mute_database),
    Fault("PostgreSQL read-only", "database", _read_only_database),
    Fault("PostgreSQL's tables locked", "database", _locked_database),
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

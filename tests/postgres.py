"""A PostgreSQL cluster of the tests' own: no TCP, gone with them."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

_OPTIONS = "-c listen_addresses='' -c shared_buffers=64MB -c max_connections=200"
_CARELESS = "-c fsync=off -c full_page_writes=off"


class Cluster:
    """A PostgreSQL cluster in a folder of its own, which holds its socket, too.

    PostgreSQL does not run as root: another user's name is used.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pbxtrack-pg-"))
        self._programs = _programs()
        self._data = self.folder / "data"
        self._options = f"-k {self.folder} {_OPTIONS} {'' if durable else _CARELESS}"
        user = _unprivileged()
        self._as_user = ["setpriv", f"--reuid={user}", "--clear-groups", f"--regid={user}"] if user else []
        if user:
            account = pwd.getpwnam(user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self.folder.chmod(0o711)

    def create(self) -> None:
        """Make it; it does not run yet."""
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")

    def start(self) -> None:
        """Run it, and wait until it answers."""
        self._run("pg_ctl", "-l", str(self.folder / "log"), "-w", "-o", self._options, "start")

    def stop(self) -> None:
        """Stop it as a power cut would, but at once."""
        self._run("pg_ctl", "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        """Remove its folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> list[int]:
        """Its processes, the first of them before those that it made."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, f"{self._programs}/{program}", "-D", str(self._data), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=self.folder, check=False)
        if done.returncode:
            log = self.folder / "log"
            raise RuntimeError(f"{program}: {done.stderr}{log.read_text() if log.exists() else ''}")


@contextlib.contextmanager
def cluster(*, durable: bool = False) -> Iterator[str]:
    """Run a new cluster; gives the socket's folder. Unless it is to be ``durable``, it does not wait for the disk."""
    new = Cluster(durable=durable)
    try:
        new.create()
        new.start()
        try:
            yield str(new.folder)
        finally:
            new.stop()
    finally:
        new.remove()


def url(folder: str, name: str) -> str:
    """The address of a database of the cluster."""
    return f"postgresql:///{name}?host={folder}&user=postgres"


def create(folder: str, name: str, template: str = "template0") -> str:
    """Make a database, as a copy of ``template``; its address."""
    with psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    return url(folder, name)


def empty(folder: str, name: str, tables: Sequence[str]) -> None:
    """Empty a database's tables, whoever is still connected to it: much quicker than a new database."""
    with psycopg.connect(host=folder, user="postgres", dbname=name, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE".encode())
        connection.execute("INSERT INTO revisions VALUES ('sites', 1)")  # as the migration does


def drop(folder: str, name: str) -> None:
    """Remove a database, whoever is connected to it."""
    with psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _programs() -> str:
    for found in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True):
        return str(found.parent)
    initdb = shutil.which("initdb")
    if initdb is None:
        raise RuntimeError("PostgreSQL's initdb is missing; `scripts/setup-tests` tells how to get it")
    return str(Path(initdb).resolve().parent)


def _unprivileged() -> str | None:
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise RuntimeError("neither a user postgres nor nobody exists to run PostgreSQL as")

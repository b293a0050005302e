"""Which labs there are: one folder each, with a ``state.json`` that a later command, or a watchdog, can act on."""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import paths
from pbxtrack.lab.config import Folders, Secrets
from pbxtrack.lab.processes import Process

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass
class State:
    """What is known of a lab.

    `version` is Asterisk's ("22"); `phase` is "starting" or "up"; `starter` is the process that brings it up.
    """

    name: str
    host: str
    runtime: str
    version: str
    dial_timeout: int
    secrets: Secrets
    starter: Process
    attached: bool
    phase: str = "starting"
    asterisk: Process | None = None
    phones: dict[str, Process] = field(default_factory=dict)
    watchdog: Process | None = None

    def processes(self) -> list[Process]:
        """The processes of the lab, in the order in which they are to end."""
        return [p for p in (*self.phones.values(), self.asterisk, self.watchdog) if p]

    def save(self) -> None:
        """Write it, all or nothing; only its owner may read it."""
        root = folders(self.name).root
        aside = root / f"state.json.{os.getpid()}"
        try:
            fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except FileNotFoundError:
            raise PbxtrackError(f"the lab {self.name} was taken down by another process") from None
        with os.fdopen(fd, "w") as file:
            json.dump(asdict(self), file)
        aside.rename(root / "state.json")


def folders(name: str) -> Folders:
    """The folders of the lab `name`. Raises PbxtrackError for a name that is none."""
    if not _NAME.fullmatch(name):
        raise PbxtrackError(f"{name!r} cannot be a lab's name: small letters, digits, - and _, at most 40")
    return Folders(paths.labs_dir() / name)


def load(name: str) -> State | None:
    """The state of a lab; None when there is none."""
    return _read(folders(name).root / "state.json")


def all_states() -> list[State]:
    """The state of every lab, by name."""
    found = (_read(path) for path in sorted(paths.labs_dir().glob("*/state.json")))
    return [state for state in found if state]


@contextmanager
def locked() -> Iterator[None]:
    """Hold the lock of all labs; for short work only."""
    paths.cache_dir().mkdir(parents=True, exist_ok=True)
    with (paths.cache_dir() / "labs.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(path: Path) -> State | None:
    try:
        data = json.loads(path.read_text())
        data["secrets"] = Secrets(**data["secrets"])
        for key in ("starter", "asterisk", "watchdog"):
            data[key] = Process(**data[key]) if data[key] else None
        data["phones"] = {line: Process(**process) for line, process in data["phones"].items()}
        return State(**data)
    except (OSError, ValueError, KeyError, TypeError):
        return None

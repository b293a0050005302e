"""A lab: an Asterisk, its phones and its callers."""

import json
import os
import re
import secrets
import shutil
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import config, registry, versions
from pbxtrack.lab.addresses import Addresses, choose
from pbxtrack.lab.ami import Ami, AmiError
from pbxtrack.lab.caller import CallHandle, CallResult, Order, place
from pbxtrack.lab.paths import PACKAGE
from pbxtrack.lab.processes import Process, spawn, this_process
from pbxtrack.lab.registry import State
from pbxtrack.lab.runtimes import NAMES, DockerRuntime, RootfsRuntime, Runtime, docker_answers

BOOT_LIMIT = 30.0  # seconds; Asterisk is ready in under one
DIAL_TIMEOUT = 10  # seconds


class Lab:
    """A lab that is up. Make one with :meth:`up`, or get a running one with :meth:`find`."""

    def __init__(self, state: State, runtime: Runtime) -> None:
        self.state = state
        self._runtime = runtime
        self._folders = registry.folders(state.name)
        self.addresses = Addresses(state.host)

    @classmethod
    def up(
        cls,
        name: str = "default",
        runtime: str | None = None,
        phones: bool = True,
        attached: bool = False,
        dial_timeout: int = DIAL_TIMEOUT,
        asterisk: str = versions.DEFAULT,
    ) -> "Lab":
        """Start a lab and return it when calls can be placed.

        `runtime` is "docker" or "rootfs", None: Docker where it works. An `attached` lab ends with this process,
        however that ends. `dial_timeout` is how long a line may ring, in seconds. `asterisk` is its version, "22" or
        "16". Raises PbxtrackError, having cleaned up.
        """
        if runtime not in (None, *NAMES):
            raise PbxtrackError(f"{runtime!r} is no runtime: {' or '.join(NAMES)}")
        if asterisk not in versions.VERSIONS:
            raise PbxtrackError(f"the lab has no Asterisk {asterisk!r}: {' or '.join(versions.VERSIONS)}")
        chosen = runtime or ("docker" if docker_answers() else "rootfs")
        state = _reserve(name, chosen, asterisk, attached, dial_timeout)
        lab = cls(state, _runtime(state))
        try:
            lab._prepare(may_fall_back=runtime is None)
            lab._start(phones)
        except BaseException:
            lab.down()
            raise
        return lab

    @classmethod
    def find(cls, name: str = "default") -> "Lab | None":
        """The lab of that name, if there is one, whatever is left of it."""
        state = registry.load(name)
        if state is None:
            return None
        return cls(state, _runtime(state))

    def __enter__(self) -> "Lab":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    # What it is

    @property
    def name(self) -> str:
        """Its name."""
        return self.state.name

    @property
    def runtime(self) -> str:
        """ "docker" or "rootfs"."""
        return self.state.runtime

    @property
    def version(self) -> str:
        """Asterisk's: "22" or "16"."""
        return self.state.version

    @property
    def root(self) -> Path:
        """Its folder, which goes with it."""
        return self._folders.root

    @property
    def log_dir(self) -> Path:
        """Asterisk's logs, ``cdr-custom`` and ``cel-custom``, and the phones' ledgers."""
        return self._folders.log

    @property
    def config_path(self) -> Path:
        """The ``pbxtrack.toml`` that fits it."""
        return self._folders.toml

    @property
    def ami_login(self) -> tuple[str, str]:
        """User name and secret of pbxtrack's own AMI user."""
        return config.AMI_USER, self.state.secrets.ami

    @property
    def observer_login(self) -> tuple[str, str]:
        """User name and secret of an AMI user that may see and do everything, for tests."""
        return config.OBSERVER, self.state.secrets.observer

    def status(self) -> dict[str, Any]:
        """What runs and where, as JSON-ready data; ``ok`` is true when everything that should run does."""
        asterisk = self.state.asterisk.alive() if self.state.asterisk else self._runtime.running()
        phones = {line: process.alive() for line, process in self.state.phones.items()}
        return {
            "name": self.name,
            "ok": self.state.phase == "up" and asterisk and all(phones.values()),
            "phase": self.state.phase,
            "runtime": self.runtime,
            "asterisk_version": self.version,
            "attached": self.state.attached,
            "asterisk": asterisk,
            "phones": phones,
            "sip": self.addresses.sip,
            "ami": self.addresses.ami,
            "agi": self.addresses.agi,
            "api": self.addresses.api,
            "lines": {f"PJSIP/{line}": address for line, address in self.addresses.lines.items()},
            "config": str(self.config_path),
            "log_dir": str(self.log_dir),
            "dial_timeout": self.state.dial_timeout,
        }

    # Calls

    def call(self, **order: Any) -> CallResult:
        """Place a call and wait for its end; see :class:`Order` for what can be asked. Safe from many threads."""
        return self.start_call(**order).wait()

    def start_call(self, **order: Any) -> CallHandle:
        """Place a call and return at once."""
        return place(Order(**order), self.addresses, self._runtime, self._folders, self.state.dial_timeout)

    def ledger(self, line: str | None = None) -> list[dict[str, Any]]:
        """What the phones themselves say of the calls that have ended; times in seconds since 1970."""
        rows: list[dict[str, Any]] = []
        for name in [line] if line else list(self.addresses.lines):
            path = self.log_dir / f"phone-{name}.jsonl"
            if path.exists():
                rows += [json.loads(text) for text in path.read_text().splitlines()]
        return sorted(rows, key=lambda row: float(row["invited_at"]))

    def ledger_of(self, result: CallResult, legs: int = 1, *, timeout: float = 10.0) -> list[dict[str, Any]]:
        """The phones' rows of one call, ``legs`` of them at least: the last is written after the caller's end.

        Raises PbxtrackError where they do not come within ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        while len(rows := [row for row in self.ledger() if row["lab_call"] == result.call_id]) < legs:
            if time.monotonic() > deadline:
                raise PbxtrackError(f"the phones saw {len(rows)} legs of the call, not {legs}: {result}")
            time.sleep(0.02)
        return rows

    def asterisk(self, command: str) -> str:
        """What Asterisk's command line answers: ``core show channels``."""
        with self.observe() as ami:
            return ami.command(command)

    def observe(self, timeout: float = 5.0) -> Ami:
        """An AMI session that may see and do everything."""
        return Ami(self.addresses.ami, *self.observer_login, timeout)

    # Up and down

    def stop_asterisk(self, *, kill: bool = False) -> None:
        """Stop only Asterisk, with `kill` as if it crashed; its database and logs stay for :meth:`start_asterisk`."""
        self._runtime.stop(self.state.asterisk, kill=kill)

    def start_asterisk(self) -> None:
        """Start Asterisk (again) and wait until it takes calls. Raises PbxtrackError with Asterisk's reason."""
        self._runtime.prepare()
        sizes = self._log_sizes()
        self.state.asterisk = self._runtime.start()
        self.state.save()
        deadline = time.monotonic() + BOOT_LIMIT
        while True:
            try:
                with self.observe() as ami:
                    ami.wait_for("FullyBooted")
                return
            except AmiError as error:
                if not self._runtime.running() or time.monotonic() > deadline:
                    raise PbxtrackError(f"Asterisk did not start: {self._last_words(sizes) or error}") from error
                time.sleep(0.05)

    def down(self) -> None:
        """Stop everything and remove the lab's folder. Does nothing where there is nothing."""
        with registry.locked():
            # The watchdog and `lab down` may come at once.
            current = registry.load(self.name)
            if current is None or current.starter != self.state.starter:
                return  # gone, or a newer lab of the same name
            mine = [p for p in current.processes() if p.pid != os.getpid()]
        for process in mine:
            process.stop()
        if self.state.runtime == "docker":
            self._runtime.remove()
        shutil.rmtree(self.root, ignore_errors=True)

    def _prepare(self, *, may_fall_back: bool) -> None:
        try:
            self._runtime.prepare()
        except PbxtrackError as error:
            if not (may_fall_back and self.runtime == "docker"):
                raise
            print(f"{error}; using Debian's packages instead", file=sys.stderr)
            self.state.runtime = "rootfs"
            self._runtime = _runtime(self.state)
            self._runtime.prepare()

    def _start(self, phones: bool) -> None:
        where, runtime, state = self._folders, self._runtime, self.state
        config.write(
            where,
            self.addresses,
            state.secrets,
            asterisk=state.version,
            modules=runtime.modules,
            data=runtime.data,
            dial_timeout=state.dial_timeout,
        )
        if state.attached:
            owner = state.starter
            state.watchdog = self._python("watchdog", "watchdog", self.name, str(owner.pid), str(owner.started))
            state.save()
        self.start_asterisk()
        if phones:
            for line, address in self.addresses.lines.items():
                ledger = self.log_dir / f"phone-{line}.jsonl"
                arguments = ["--line", line, "--listen", address, "--ledger", str(ledger)]
                state.phones[line] = self._python(f"phone {line}", "phone", *arguments)
                state.save()
            self._await_phones()
        state.phase = "up"
        state.save()

    def _await_phones(self) -> None:
        deadline = time.monotonic() + BOOT_LIMIT
        for line, process in self.state.phones.items():
            # A phone makes its ledger once it listens.
            while not (self.log_dir / f"phone-{line}.jsonl").exists():
                if not process.alive() or time.monotonic() > deadline:
                    output = (self.log_dir / f"phone-{line}.out").read_text().splitlines()
                    raise PbxtrackError(f"the phone of PJSIP/{line} did not start: {output[-1] if output else '?'}")
                time.sleep(0.01)

    def _python(self, what: str, module: str, *arguments: str) -> Process:
        command = [sys.executable, "-m", f"pbxtrack.lab.{module}", *arguments]
        # In the folder above the package, so that a checkout that nobody installed is found too.
        return spawn(what, command, self.log_dir / f"{what.replace(' ', '-')}.out", PACKAGE.parent)

    def _log_sizes(self) -> dict[Path, int]:
        logs = (self.log_dir / "asterisk.out", self.log_dir / "messages.log")
        return {path: path.stat().st_size if path.exists() else 0 for path in logs}

    def _last_words(self, sizes: dict[Path, int]) -> str:
        """The last line about trouble that Asterisk wrote beyond `sizes`."""
        for path, size in sizes.items():
            if path.exists():
                lines = path.read_bytes()[size:].decode(errors="replace").splitlines()
                found = [line for line in lines if re.search("ERROR|Required|already running", line)]
                # The very last one only says that it ends.
                if found := [line for line in found if "ASTERISK EXITING" not in line] or found:
                    return found[-1]
        return ""


def _runtime(state: State) -> Runtime:
    where = registry.folders(state.name)
    if state.runtime == "docker":
        return DockerRuntime(where, state.name, state.version)
    return RootfsRuntime(where, state.version)


def _reserve(name: str, runtime: str, version: str, attached: bool, dial_timeout: int) -> State:
    """Take the name and the addresses, so that no other `up` does."""
    with registry.locked():
        old = registry.load(name)
    if old:
        lab = Lab(old, _runtime(old))
        if old.phase == "starting" and old.starter.alive():
            raise PbxtrackError(f"the lab {name} is being started by process {old.starter.pid}")
        if lab.status()["asterisk"] or any(process.alive() for process in old.phones.values()):
            raise PbxtrackError(f"the lab {name} is up already; end it with: pbxtrack lab down --name {name}")
        lab.down()  # what a crash left
    with registry.locked():
        if registry.load(name):
            raise PbxtrackError(f"the lab {name} is being started by another process")
        where = registry.folders(name)
        shutil.rmtree(where.root, ignore_errors=True)
        addresses = choose(name, {state.host for state in registry.all_states()})
        where.root.mkdir(parents=True, mode=0o700)
        passwords = config.Secrets(ami=secrets.token_urlsafe(18), observer=secrets.token_urlsafe(18))
        starter = this_process("pbxtrack lab up")
        state = State(name, addresses.host, runtime, version, dial_timeout, passwords, starter, attached)
        state.save()
    return state

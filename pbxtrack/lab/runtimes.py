"""The two ways to run the lab's Asterisk: unpacked from Debian's packages, or in a container."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import paths, rootfs
from pbxtrack.lab.config import Folders
from pbxtrack.lab.processes import Process, spawn
from pbxtrack.lab.versions import SUITES

NAMES = ("docker", "rootfs")
Word = str | bytes


class Runtime(Protocol):
    """Runs one lab's Asterisk, and SIPp beside it."""

    name: str

    @property
    def modules(self) -> Path:
        """Where Asterisk finds its modules."""

    @property
    def data(self) -> Path:
        """Where Asterisk finds its own documentation."""

    def prepare(self) -> None:
        """Fetch or build what is missing; may take a minute. Raises PbxtrackError."""

    def start(self) -> Process | None:
        """Start Asterisk; the process, when it is one of this machine's that the lab has to look after."""

    def running(self) -> bool:
        """Whether Asterisk's process is there."""

    def stop(self, process: Process | None, *, kill: bool = False) -> None:
        """Stop Asterisk, with `kill` at once and without a word."""

    def remove(self) -> None:
        """Take away whatever is left of it."""

    def sipp(self, arguments: Sequence[Word], folder: Path) -> list[Word]:
        """The command line that runs SIPp in `folder`."""


class RootfsRuntime:
    """Asterisk from Debian's packages, unpacked in the cache."""

    name = "rootfs"

    def __init__(self, folders: Folders, asterisk: str) -> None:
        self._folders, self._asterisk = folders, asterisk
        self._rootfs = rootfs.located(asterisk)
        self._process: Process | None = None

    @property
    def modules(self) -> Path:
        return self._rootfs.modules

    @property
    def data(self) -> Path:
        return self._rootfs.data

    def prepare(self) -> None:
        rootfs.prepare(self._asterisk)

    def start(self) -> Process | None:
        command = [*self._rootfs.command("usr/sbin/asterisk"), "-C", str(self._folders.etc / "asterisk.conf"), "-f"]
        self._process = spawn("Asterisk", command, self._folders.log / "asterisk.out", self._folders.root)
        return self._process

    def running(self) -> bool:
        return self._process is None or self._process.alive()

    def stop(self, process: Process | None, *, kill: bool = False) -> None:
        if process:
            process.kill() if kill else process.stop()

    def remove(self) -> None:
        """Nothing: the cache is for the next lab."""

    def sipp(self, arguments: Sequence[Word], folder: Path) -> list[Word]:
        return [*self._rootfs.command("usr/bin/sipp"), *arguments]


class DockerRuntime:
    """Asterisk in a container on the host's network, the lab's folder mounted at the same path as outside."""

    name = "docker"
    modules = Path("/opt/asterisk-modules")
    data = Path("/usr/share/asterisk")

    def __init__(self, folders: Folders, lab: str, asterisk: str) -> None:
        self._folders, self._asterisk = folders, asterisk
        self.image = f"pbxtrack-lab-asterisk:{asterisk}"
        # Labs of one name may exist under other home directories; the engine is shared by all of them.
        self.project = f"pbxtrack-lab-{lab}-{hashlib.sha256(str(folders.root).encode()).hexdigest()[:6]}"

    def prepare(self) -> None:
        if not docker_answers():
            raise PbxtrackError("no Docker engine with Compose answers; start it, or use --runtime rootfs")
        if _docker("image", "inspect", self.image).returncode != 0:
            rootfs.to_stderr(f"Building the image of Asterisk {self._asterisk} (the first time only)…")
            built = self._compose("build", "--quiet")
            if built.returncode != 0:
                raise PbxtrackError(f"the image of Asterisk {self._asterisk} cannot be built: {_reason(built)}")

    def start(self) -> Process | None:
        done = self._compose("up", "--detach", "--quiet-pull")
        if done.returncode != 0:
            raise PbxtrackError(f"Asterisk's container did not start: {_reason(done)}")
        return None

    def running(self) -> bool:
        state = _docker("container", "inspect", "--format", "{{.State.Running}}", self.project)
        return state.stdout.strip() == "true"

    def stop(self, process: Process | None, *, kill: bool = False) -> None:
        _docker("kill", self.project) if kill else _docker("stop", "-t", "3", self.project)

    def remove(self) -> None:
        if shutil.which("docker"):
            self._compose("down", "--timeout", "3", "--remove-orphans")

    def sipp(self, arguments: Sequence[Word], folder: Path) -> list[Word]:
        # The Docker client passes arguments as JSON, which has no place for bytes that are not UTF-8; a script has.
        script = b"exec sipp " + b" ".join(_quote(word) for word in arguments) + b"\n"
        (folder / "sipp.sh").write_bytes(script)
        # Its own container: callers outlive an Asterisk that is killed.
        return ["docker", "exec", "--workdir", str(folder), f"{self.project}-caller", "sh", str(folder / "sipp.sh")]

    def _compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PBXTRACK_LAB_IMAGE": self.image,
            "PBXTRACK_LAB_SUITE": SUITES[self._asterisk],
            "PBXTRACK_LAB_CONTAINER": self.project,
            "PBXTRACK_LAB_ROOT": str(self._folders.root),
            "PBXTRACK_LAB_USER": f"{os.getuid()}:{os.getgid()}",
        }
        file = str(paths.docker_dir() / "compose.yaml")
        return _docker("compose", "--project-name", self.project, "--file", file, *arguments, environment=environment)


def docker_answers() -> bool:
    """Whether a Docker engine and Compose are usable here."""
    if sys.platform != "linux" or shutil.which("docker") is None:
        return False  # elsewhere the engine is in a virtual machine, whose loopback is not ours
    return _docker("info", timeout=10).returncode == 0 and _docker("compose", "version").returncode == 0


def _docker(
    *arguments: str, environment: dict[str, str] | None = None, timeout: float = 900.0
) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    try:
        return subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"docker {arguments[0]} took over {timeout:.0f} s")


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit {done.returncode}"


def _quote(word: Word) -> bytes:
    # surrogateescape keeps bytes that were never text
    text = word if isinstance(word, str) else word.decode("utf-8", "surrogateescape")
    return shlex.quote(text).encode("utf-8", "surrogateescape")

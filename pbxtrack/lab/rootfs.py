"""An Asterisk unpacked from Debian's packages, for machines without Docker: no root, no chroot, nothing installed.

The packages of the Debian release that has it are downloaded by the machine's own apt into a private state, unpacked
into a folder of their own under the cache directory, and run through the C library that came with them.
"""

import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pbxtrack.errors import PbxtrackError
from pbxtrack.lab import paths
from pbxtrack.lab.versions import SUITES

PACKAGES = ("asterisk", "sip-tester")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "PBXTRACK_LAB_MIRROR"
LAYOUT = 1  # counts up when a newer pbxtrack needs other packages than an older one unpacked
TIMEOUT = 900.0  # seconds for one apt command
RETRIES = 3

# The packages also depend on programs that maintainer scripts run (perl, python3, gnupg…). No script runs here.
WANTED = re.compile(r"lib(?!perl|python|c-gconv|snmp-base|asound2-data).*|asterisk|asterisk-modules|sip-tester|zlib1g")

# What apt says where a mirror answers "404 Not Found" for a release. No answer, or "503", reads otherwise.
_NO_RELEASE = "does not have a Release file"

Progress = Callable[[str], None]


class ReleaseNotCarried(PbxtrackError):
    """The mirror works, and no longer (or not yet) has the release of Debian that the Asterisk is from."""


def to_stderr(line: str) -> None:
    """Print a progress line."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Rootfs:
    """The unpacked packages."""

    root: Path

    @property
    def libraries(self) -> Path:
        """The folder of shared libraries: ``usr/lib/x86_64-linux-gnu``."""
        return self._one("usr/lib/*-linux-gnu*")

    @property
    def modules(self) -> Path:
        """Asterisk's modules."""
        return self._one("usr/lib/*/asterisk/modules", "usr/lib/asterisk/modules")

    @property
    def data(self) -> Path:
        """Asterisk's data directory, where its own documentation lies, which it needs at start."""
        return self.root / "usr/share/asterisk"

    def command(self, program: str) -> list[str]:
        """How a command line begins that runs ``usr/sbin/asterisk`` or ``usr/bin/sipp`` with its own libraries."""
        # Up to Debian 11 the C library is outside of /usr; the loader's link in lib64 is absolute, and leads nowhere.
        loader = self._one(
            "usr/lib/*/ld-linux-*.so.*", "lib/*/ld-linux-*.so.*", "usr/lib*/ld-linux-*.so.*", "lib*/ld-linux-*.so.*"
        )
        triplet = self.libraries.name
        folders = (self.libraries, self.root / "lib" / triplet, self.root / "usr/lib")
        return [str(loader), "--library-path", ":".join(map(str, folders)), str(self.root / program)]

    @property
    def version(self) -> str:
        """Asterisk's package version: ``1:16.28.0~dfsg-0+deb11u4``."""
        return (self.root / "VERSION").read_text().strip()

    def _one(self, *patterns: str) -> Path:
        for pattern in patterns:
            for found in sorted(self.root.glob(pattern)):
                return found
        raise PbxtrackError(f"{self.root} is damaged ({patterns[0]} is missing): delete that folder and try again")


def located(version: str) -> Rootfs:
    """Where the unpacked Asterisk of that version ("22") is, or will be."""
    return Rootfs(paths.cache_dir() / f"asterisk-{version}-{platform.machine()}-{LAYOUT}")


def prepare(version: str, progress: Progress = to_stderr) -> Rootfs:
    """The unpacked Asterisk, downloaded first if this machine has none yet (about 60 MB; half a minute).

    Safe to call from many processes at once. Raises PbxtrackError when it cannot be had, ReleaseNotCarried where that
    is because the mirror lacks the release of Debian.
    """
    found = located(version)
    target = found.root
    if not target.is_dir():
        paths.cache_dir().mkdir(parents=True, exist_ok=True)
        with _lock(target.with_name(target.name + ".lock"), progress):
            if not target.is_dir():
                _make(version, target, progress)
    return found


@contextmanager
def _lock(path: Path, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("Waiting for another pbxtrack that is preparing Asterisk…")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(version: str, target: Path, progress: Progress) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise PbxtrackError(
                f"the lab needs Docker, or Debian's or Ubuntu's {tool} to fetch Asterisk: neither is here"
            )
    if not KEYRING.is_file():
        raise PbxtrackError(f"{KEYRING} is missing; install it with: apt-get install debian-archive-keyring")
    # Only a killed run leaves such a folder, and the lock is ours: nobody works in it.
    for left_over in target.parent.glob(f"{target.name}.part-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
    try:
        apt = _Apt(work, SUITES[version])
        progress(f"Asking {apt.mirror} for Asterisk {version}…")
        apt.update()
        names, size = apt.closure()
        progress(f"Downloading Asterisk {version} ({size / 1e6:.0f} MB, {len(names)} packages)…")
        packages = apt.download(names)
        progress(f"Unpacking Asterisk {version}…")
        root = work / "root"
        root.mkdir()
        for package in packages:
            _run(["dpkg-deb", "-x", package, root], cwd=work)
            package.unlink()
        for useless in ("doc", "man", "locale", "lintian", "info"):
            shutil.rmtree(root / "usr/share" / useless, ignore_errors=True)
        package_version = next(p.name.split("_")[1] for p in packages if p.name.startswith("asterisk_"))
        (root / "VERSION").write_text(package_version.replace("%3a", ":") + "\n")
        root.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Apt:
    """apt with a state of its own: it reads and writes nothing of the system's but its settings (proxies)."""

    def __init__(self, work: Path, suite: str) -> None:
        self._work, self._suite = work, suite
        for folder in ("state/lists/partial", "cache/archives/partial", "debs"):
            (work / folder).mkdir(parents=True)
        (work / "status").touch()
        self._private = {
            "Dir::State": work / "state",
            "Dir::State::status": work / "status",
            "Dir::Cache": work / "cache",
            "Acquire::Languages": "none",
            "Acquire::Check-Valid-Until": "false",  # a mirror that lags has an expired Release file of a testing suite
            "Acquire::Retries": RETRIES,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",  # root's private folder is not open to the user _apt
        }
        self.mirror = self._find_mirror()
        sources = work / "sources.list"
        sources.write_text(f"deb [signed-by={KEYRING}] {self.mirror} {suite} main\n")
        self._own_sources = {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "/dev/null"}

    def run(self, *arguments: str, system_sources: bool = False, cwd: Path | None = None) -> str:
        """Run apt-get and return what it printed; raises PbxtrackError with apt's reason."""
        settings = self._private if system_sources else self._private | self._own_sources
        options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        return _run(["apt-get", "-qq", *options, *arguments], cwd=cwd or self._work)

    def update(self) -> None:
        """Fetch the lists of packages."""
        try:
            # Unless told so, apt takes a mirror that does not answer for no error, and then knows no package.
            self.run("update", "-o", "APT::Update::Error-Mode=any")
        except PbxtrackError as error:
            if _NO_RELEASE in str(error):
                raise ReleaseNotCarried(f"{self.mirror} does not carry Debian's {self._suite}") from error
            raise

    def closure(self) -> tuple[list[str], int]:
        """The wanted packages, as ``name=version``, and their size in bytes."""
        names, size = [], 0
        for line in self.run("install", "--print-uris", "--yes", *PACKAGES).splitlines():
            _, file, length = line.split()[:3]
            name, version = file.split("_")[:2]
            if WANTED.fullmatch(name):
                names.append(f"{name}={version.replace('%3a', ':')}")
                size += int(length)
        return names, size

    def download(self, names: Sequence[str]) -> list[Path]:
        """Fetch the packages; apt checks their signatures and hashes."""
        self.run("download", *names, cwd=self._work / "debs")
        return sorted((self._work / "debs").glob("*.deb"))

    def _find_mirror(self) -> str:
        """Debian's mirror as this machine's apt knows it; elsewhere (Ubuntu) the user names one."""
        if named := os.environ.get(MIRROR_VARIABLE):
            return named
        query = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
        found = _run(["apt-get", *query], cwd=self._work).split()
        if not found:  # nobody has run `apt-get update` here yet
            try:
                self.run("update", system_sources=True)
                found = self.run(*query, system_sources=True).split()
            except PbxtrackError:
                found = []
        if not found:
            raise PbxtrackError(
                f"apt knows no Debian mirror to take Asterisk from; name one: {MIRROR_VARIABLE}=http://MIRROR/debian/"
            )
        return found[0]


def _run(command: Sequence[str | Path], cwd: Path) -> str:
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PbxtrackError(f"{command[0]} did not finish within {TIMEOUT:.0f} s; is the network up?") from None
    if done.returncode != 0:
        reasons = [line for line in done.stderr.splitlines() if line.startswith(("E:", "dpkg-deb: error"))]
        # apt names the cause first, and ends with what that led to.
        reason = (reasons or done.stderr.splitlines()[-1:] or [f"exit {done.returncode}"])[0]
        raise PbxtrackError(f"Asterisk cannot be fetched: {reason.strip()}")
    return done.stdout

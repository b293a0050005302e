"""Child processes that can be found again, and never mistaken for a stranger's.

A process id is reused by the system; together with its start time it is not.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process: `started` is its start in clock ticks since boot, as in /proc/PID/stat."""

    what: str
    pid: int
    started: int

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return _start_time(self.pid) == self.started

    def stop(self, patience: float = 3.0) -> None:
        """End it: SIGTERM, and SIGKILL after `patience` seconds. Does nothing to a process that is not this one."""
        for sign, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
            if not self._signal(sign):
                return
            deadline = time.monotonic() + wait
            while time.monotonic() < deadline:
                self._reap()
                if not self.alive():
                    return
                time.sleep(0.01)

    def kill(self) -> None:
        """End it at once: SIGKILL."""
        if self._signal(signal.SIGKILL):
            while self.alive():
                time.sleep(0.005)
            self._reap()

    def _signal(self, sign: signal.Signals) -> bool:
        try:
            # The pidfd pins the process: it cannot end and its number be reused between the check and the signal.
            fd = os.pidfd_open(self.pid)
        except (ProcessLookupError, PermissionError):
            return False
        try:
            if not self.alive():
                self._reap()
                return False
            signal.pidfd_send_signal(fd, sign)
        except ProcessLookupError:
            return False
        finally:
            os.close(fd)
        return True

    def _reap(self) -> None:
        try:
            os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pass  # not our child: `lab down` from another program


def this_process(what: str) -> Process:
    """The running process itself."""
    return identify(what, os.getpid())


def identify(what: str, pid: int) -> Process:
    """The process that has `pid` now; one that has ended already is given as never alive."""
    return Process(what, pid, _start_time(pid) or -1)


def spawn(what: str, command: Sequence[str | Path], output: Path, cwd: Path) -> Process:
    """Start `command` apart from this terminal, its output appended to `output`.

    Raises OSError when it cannot be started.
    """
    with output.open("ab") as out:
        child = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd=cwd,
            start_new_session=True,
        )
    process = identify(what, child.pid)
    # The Popen object would warn at its end that the child still runs; we keep the child by its Process.
    child.returncode = 0
    return process


def _start_time(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command's name is in brackets and may itself hold spaces and brackets.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])

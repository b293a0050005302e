"""Child processes that can be found again, and never mistaken for a stranger's.

A process id is reused by the system; together with its start time it is not.
"""

import contextlib
import os
import select
import signal
import subprocess
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
        if not self._signal(signal.SIGTERM, patience):
            self.kill()

    def kill(self) -> None:
        """End it at once: SIGKILL."""
        self._signal(signal.SIGKILL, 10.0)

    def _signal(self, sign: signal.Signals, patience: float) -> bool:
        """Send a signal and wait `patience` seconds for the end; whether it has ended."""
        try:
            # The pidfd pins the process: it cannot end and its number be reused between the check and the signal.
            fd = os.pidfd_open(self.pid)
        except (ProcessLookupError, PermissionError):
            return True
        try:
            if _start_time(self.pid, even_dead=True) != self.started:
                return True
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(fd, sign)
            # Readable once every thread is gone; until then a killed Asterisk holds its ports, though /proc has its
            # main thread as a zombie already.
            ended = bool(select.select([fd], [], [], patience)[0])
        finally:
            os.close(fd)
        self._reap()
        return ended

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):  # not our child: `lab down` from another program
            os.waitpid(self.pid, os.WNOHANG)


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


def _start_time(pid: int, *, even_dead: bool = False) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command's name is in brackets and may itself hold spaces and brackets.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" and not even_dead else int(fields[19])

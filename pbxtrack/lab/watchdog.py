"""Takes a lab down when its owner is gone: ``python -m pbxtrack.lab.watchdog NAME PID STARTED``.

Demos and tests own their lab. Should they be killed, even by SIGKILL, this process sees it and cleans up. (The kernel's
own signal at a parent's death would come at the death of the *thread* that started the child, and never reach a
container.)
"""

import os
import select
import sys
import time

from pbxtrack.lab.lab import Lab
from pbxtrack.lab.processes import Process

SETTLE = 30.0  # seconds


def main(name: str, pid: int, started: int) -> None:
    """Wait for the end of the process, then take the lab down, unless it is gone or another's by then."""
    owner = Process("owner", pid, started)
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        pass
    else:
        if owner.alive():
            select.select([fd], [], [])
    deadline = time.monotonic() + SETTLE
    while (lab := Lab.find(name)) and lab.state.watchdog and lab.state.watchdog.pid == os.getpid():
        lab.down()
        if time.monotonic() > deadline:
            break


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

"""`pbxtrack`, made to kill itself at one step of the first message: ``python -m tests.mail.killed STEP serve mail``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from pbxtrack.__main__ import main
from pbxtrack.mail.files import Files
from pbxtrack.mail.store import SqlStore

STEPS = {
    "before spool": (Files, "keep", False),
    "after spool": (Files, "keep", True),
    "after record": (SqlStore, "record", True),
    "after upstream": (SqlStore, "relayed", False),  # the file says it was sent, the database does not
    "before answer": (SqlStore, "relayed", True),
}


def _deadly(done: Callable[..., Awaitable[Any]], *, after: bool) -> Callable[..., Awaitable[Any]]:
    async def die(*arguments: Any) -> None:
        if after:
            await done(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    return die


if __name__ == "__main__":
    step = sys.argv.pop(1)
    if step == "at upstream":  # it has taken the message, and nothing here says so

        def die(_files: Files, _name: str) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(Files, "sent", die)  # noqa: B010 (a method is replaced)
    else:
        kind, name, after = STEPS[step]
        setattr(kind, name, _deadly(getattr(kind, name), after=after))
    main()

"""How a process that serves is set up beside its work."""

from __future__ import annotations

import gc


def tune() -> None:
    """Make this process answer calls evenly. For the programs that serve, once they have started."""
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not look at it again

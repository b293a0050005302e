"""How a process is set up beside its work."""

from __future__ import annotations

import gc


def tune() -> None:
    """Make this process answer calls evenly. For the programs that serve, once they have started."""
    gc.collect()
    gc.freeze()  # what is there now stays: the collector need not look at it again


def tune_for_batches() -> None:
    """Let a program that does batches, and keeps nothing of them, spend less time on looking for cycles.

    Nearly all that a batch made is gone with its last reference.
    """
    tune()
    gc.set_threshold(200_000, 20, 100)


def tune_for_one_run() -> None:
    """Let a program that ends with its work look for no cycles at all: it makes next to none."""
    gc.disable()

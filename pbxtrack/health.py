"""Whether pbxtrack can do its work: named checks, each with the reason where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pbxtrack.words import Words


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is needed. ``reason`` is one line for people, without secrets; empty where all is well."""

    name: str
    ok: bool
    reason: Words | str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found. ``mend`` says what to do; empty where all is well.

    What is said in a plain string is said so in every language: a name, a command.
    """

    name: Words | str
    ok: bool
    found: Words | str
    mend: Words | str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What ``GET /readyz`` tells: ready when every check is."""

    checks: Sequence[Check]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def reason(self) -> str:
        """The failing checks in one line; empty when ready."""
        return "; ".join(f"{check.name}: {check.reason or 'not ready'}" for check in self.checks if not check.ok)

"""The words about an AMI connection: how it is, how long things may take, how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydantic import SecretStr

from pbxtrack.errors import PbxtrackError


class AmiError(PbxtrackError):
    """Asterisk did not do what was asked; the message is one line, without secrets."""


class AmiLost(AmiError):
    """There is no connection, or it was lost, or the answer did not come in time."""


class AmiRefused(AmiError):
    """Asterisk answered with an error."""


class Phase(StrEnum):
    """What the connection is doing."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"  # the credentials are wrong
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class LinkState:
    """How the connection is, for health checks. ``error`` is one line without secrets; empty when all is well."""

    phase: Phase
    since: datetime
    last_event_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take, in seconds."""

    connect: float = 5.0
    answer: float = 5.0  # to any action
    ping_every: float = 10.0
    ping_answer: float = 5.0
    retry: float = 0.5  # first pause after a loss; doubled at each
    retry_most: float = 5.0
    refused: float = 60.0  # pause after a refused log-in: programs that look for intruders count them
    gather: float = 0.05  # between reads: many events at once cost less than one at a time, here and in Asterisk
    healthy: float = 10.0  # a connection that lasted this long was a good one


class AmiSettings(Protocol):
    """Where Asterisk is and who we are there."""

    @property
    def node(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def username(self) -> str: ...
    @property
    def secret(self) -> SecretStr: ...

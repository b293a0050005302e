"""How the service is, and what problems look like."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Alive(BaseModel):
    status: Literal["alive"]


class CheckAnswer(BaseModel):
    name: str
    ok: bool
    reason: str


class Ready(BaseModel):
    status: Literal["ready"]
    checks: list[CheckAnswer]


class ProblemAnswer(BaseModel):
    """An error, as RFC 9457 has it."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str | None = None

"""People who log in, and tokens of programs."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from pbxtrack.access import Role
from pbxtrack.api.schemas.values import NO_NUL, Time

Key = Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]
Sites = Annotated[list[Key] | None, Field(max_length=100, description="Keys of sites; null: all.")]
Password = Annotated[str, Field(min_length=10, max_length=200, pattern=NO_NUL)]


class UserBody(BaseModel):
    """Somebody who is to log in. Without a password one is made, and told this once."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]
    role: Role
    sites: Sites
    password: Password | None = None


class UserChanges(BaseModel):
    """What is left out stays as it is. A password ends their sessions."""

    model_config = ConfigDict(extra="forbid")

    role: Role | None = None
    sites: Sites = None
    password: Password | None = None


class UserAnswer(BaseModel):
    id: int
    name: str
    role: Role
    sites: list[str] | None
    created_at: Time
    seen_at: Annotated[Time | None, Field(description="The last log-in.")]


class UserMade(UserAnswer):
    password: Annotated[str | None, Field(description="The one that was made; null where it was given.")]


class UsersPage(BaseModel):
    items: list[UserAnswer]


class TokenBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]
    role: Role
    sites: Sites


class TokenChanges(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]


class TokenAnswer(BaseModel):
    id: int
    name: str
    role: Role
    sites: list[str] | None
    created_at: Time
    used_at: Annotated[Time | None, Field(description="True to a minute.")]
    revoked_at: Time | None


class TokenMade(TokenAnswer):
    token: Annotated[str, Field(description="The token: it is told this once.")]


class TokensPage(BaseModel):
    items: list[TokenAnswer]

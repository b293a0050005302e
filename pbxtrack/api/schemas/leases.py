"""Numbers for visitors of websites."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from pbxtrack.api.schemas.values import NO_NUL, ClientId, ClientIdName, Short, Url


class LeaseBody(BaseModel):
    """A website asks for a number."""

    # Unknown members are passed over: a page may have been loaded with a newer snippet than this service.
    site: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL, description="The site's key.")]
    page: Annotated[Url, Field(min_length=1, description="The address of the page, with its query.")]
    visitor: Annotated[Short | None, Field(description="What an earlier answer gave as `visitor`.")] = None
    referrer: Url | None = None
    region: Annotated[str, Field(max_length=16, pattern=NO_NUL)] | None = None
    client_ids: Annotated[
        dict[ClientIdName, ClientId] | None,
        Field(max_length=20, description="Ids in other systems by name: `ga`, `ym`, `gclid`…"),
    ] = None


class RenewBody(BaseModel):
    """A page gives a sign of life. All of it may be left out."""

    page: Url | None = None
    event: Literal["view", "tap", "copy", "leave"] | None = None


class LeaseAnswer(BaseModel):
    """A number to be shown, and for how long it is held. A robot is shown the company's own, and has no lease."""

    lease: Annotated[
        str | None, Field(description="Renews the lease: not to be shown to others. null: there is nothing to renew.")
    ]
    visitor: Annotated[str | None, Field(description="To be remembered by the browser and sent next time.")]
    visit: str | None
    number: Annotated[str | None, Field(description="E.164; null where no number can be had.")]
    display: Annotated[str | None, Field(description="The number as people write it.")]
    region: str
    email: Annotated[str | None, Field(description="The e-mail address to show; null: the site has no mailbox.")]
    expires_at: datetime | None
    guaranteed_until: datetime | None
    renew_after: Annotated[int | None, Field(description="Seconds.")]
    overflow: Annotated[bool, Field(description="The pool is used up: the number, if any, is shown to many.")]

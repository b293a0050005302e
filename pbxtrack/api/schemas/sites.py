"""What goes in and comes out of the API about sites: the keys of a site file, with its rules told where JSON can."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from pbxtrack.api.schemas.values import NO_NUL, Truth

Text = Annotated[str, Field(max_length=254, pattern=NO_NUL)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
Texts = Annotated[list[Text], Field(max_length=100)]
Numbers = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]],
    Field(max_length=100, description="Numbers, and ranges such as `+74951230100..+74951230149`."),
]
Duration = Annotated[Text, Field(description="`90s`, `30m`, `1h30m`, `2d`.")]
Glob = Annotated[str, Field(max_length=500, pattern=NO_NUL)]
Position = Annotated[StrictInt, Field(ge=0, le=10_000, description="The place in the order in which they are tried.")]


class Match(BaseModel):
    """Globs by what they are held against; all of them must fit."""

    model_config = ConfigDict(extra="forbid")

    source: Glob | None = None
    medium: Glob | None = None
    campaign: Glob | None = None
    term: Glob | None = None
    content: Glob | None = None
    referrer: Glob | None = None
    page: Glob | None = None
    click_id: Glob | None = None


class ForceQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    force: Annotated[
        Truth, Field(description="Take numbers away even from visitors who are shown them now; their leases end.")
    ] = False


class SiteChanges(BaseModel):
    """What is left out stays as it is; what is null has its default."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    line: Name | None = None
    origins: Texts | None = None
    replace: Texts | None = None
    record: StrictBool | None = None
    whisper: StrictBool | None = None
    timezone: Text | None = None
    currency: Annotated[Text | None, Field(description="Of costs and deals, ISO 4217.")] = None
    hold: Duration | None = None
    hold_guaranteed: Duration | None = None
    target_talk: Duration | None = None
    unique_days: Annotated[StrictInt, Field(ge=1, le=3_650)] | None = None
    overflow_number: Text | None = None
    email: Text | None = None
    email_separator: Literal["+", "."] | None = None


class SiteBody(SiteChanges):
    """A new site; `docs/site-file.md` explains each of its values."""

    key: Annotated[str, Field(min_length=1, max_length=64, pattern="^[a-z0-9][a-z0-9_-]*$")]
    name: Name
    line: Name


class SiteAnswer(BaseModel):
    """A site; its pools, channels and numbers have addresses of their own."""

    key: str
    name: str
    line: str
    origins: list[str]
    replace: list[str]
    record: bool
    whisper: bool
    timezone: str
    currency: str
    hold: str
    hold_guaranteed: str
    target_talk: str
    unique_days: int | None
    overflow_number: str | None
    email: str | None
    email_separator: str


class SitesPage(BaseModel):
    items: list[SiteAnswer]


class PoolChanges(BaseModel):
    """What is left out stays as it is. Another name makes it another pool, to which numbers and addresses move."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)] | None = None
    numbers: Numbers | None = None
    regions: Texts | None = None
    emails: Texts | None = None
    position: Position | None = None


class PoolBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]
    numbers: Numbers
    regions: Texts = []
    emails: Texts = []


class PoolAnswer(BaseModel):
    name: str
    numbers: list[str]
    regions: list[str]
    emails: list[str]


class PoolsPage(BaseModel):
    items: list[PoolAnswer]


class ChannelChanges(BaseModel):
    """What is left out stays as it is. Another name makes it another channel; calls keep the one they had."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    match: Match | None = None
    numbers: Numbers | None = None
    emails: Texts | None = None
    line: Text | None = None
    position: Position | None = None


class ChannelBody(BaseModel):
    """A channel needs at least one of `match`, `numbers` and `emails`."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    match: Match = Match()
    numbers: Numbers = []
    emails: Texts = []
    line: Text | None = None


class ChannelOfSite(BaseModel):
    name: str
    match: dict[str, str]
    numbers: list[str]
    emails: list[str]
    line: str | None


class ChannelsOfSite(BaseModel):
    items: list[ChannelOfSite]


class NumbersQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cursor: Annotated[str | None, Field(min_length=1, max_length=64, description="`next` of the page before.")] = None


class NumbersBody(BaseModel):
    """Numbers for a pool or for a channel: one of the two is named."""

    model_config = ConfigDict(extra="forbid")

    numbers: Annotated[Numbers, Field(min_length=1)]
    pool: Name | None = None
    channel: Name | None = None


class NumberMove(BaseModel):
    """Where a number goes: one of the two is named."""

    model_config = ConfigDict(extra="forbid")

    pool: Name | None = None
    channel: Name | None = None


class NumberOfSite(BaseModel):
    number: str
    kind: Literal["pool", "static", "overflow"]
    pool: str | None
    channel: str | None


class NumbersOfSite(BaseModel):
    items: list[NumberOfSite]
    next: str | None

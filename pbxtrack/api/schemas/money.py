"""What goes in and comes out of the API of costs and deals, as pydantic models."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, WithJsonSchema, model_validator

from pbxtrack.api.schemas.values import NO_NUL, Any20, Time, Word, as_list, whole
from pbxtrack.money.amounts import MAX_AMOUNT, of_number
from pbxtrack.money.cost_file import read_day
from pbxtrack.money.costs import MAX_DETAIL
from pbxtrack.money.deals import DealStatus
from pbxtrack.storage.pages import MAX_ID

MAX_ITEMS = 1_000
"""Costs or deals of one request."""
MAX_BODY = 1024 * 1024
"""Bytes of a request with so many."""


def _read_day(text: object) -> object:
    if not isinstance(text, str) or len(text) != 10 or text[4] != "-":
        raise ValueError("must be a day such as 2026-01-31")
    return read_day(text)


def _read_amount(number: object) -> int:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError("must be a number such as 1234.50")
    return of_number(number)


Day = Annotated[date, BeforeValidator(_read_day), WithJsonSchema({"type": "string", "format": "date"})]
Amount = Annotated[
    int,
    BeforeValidator(_read_amount),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_AMOUNT // 100}),
]
Detail = Annotated[str, Field(max_length=MAX_DETAIL, pattern=NO_NUL)]
Text200 = Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
Stage = Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]
Id = Annotated[StrictInt, Field(ge=1, le=MAX_ID)]
SiteKey = Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL, description="The site's key.")]
Cursor = Annotated[str | None, Field(min_length=1, max_length=400, description="`next` of the page before.")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CostItem(_Strict):
    """What a channel cost on some days, both included, by the site's clocks. Each day has as much as the others."""

    first: Day
    last: Annotated[Day | None, Field(description="null: the first alone.")] = None
    channel: Word
    source: Detail | None = None
    medium: Detail | None = None
    campaign: Detail | None = None
    term: Detail | None = None
    amount: Annotated[Amount, Field(description="In the site's currency; two digits after the point at most.")]


class ReplacedBody(_Strict):
    """Costs of these days, both included, that are there and not in the request, are removed."""

    first: Day
    last: Day
    channel: Annotated[Word | None, Field(description="Those of this channel alone; null: of all.")] = None


class CostsBody(_Strict):
    """Costs of a site. One of the same days, channel, source, medium, campaign and term is replaced."""

    site: SiteKey
    items: Annotated[list[CostItem], Field(max_length=MAX_ITEMS)]
    replace: ReplacedBody | None = None


class CostChanges(_Strict):
    """What is left out stays."""

    first: Day = date.min
    last: Day = date.min
    channel: Word = ""
    source: Detail | None = None
    medium: Detail | None = None
    campaign: Detail | None = None
    term: Detail | None = None
    amount: Amount = 0


class _ListQuery(_Strict):
    site: Annotated[Any20, Field(description="The site's key.")] = []
    channel: Any20 = []
    limit: Annotated[int, Field(ge=1, le=250), BeforeValidator(whole)] = 50
    cursor: Cursor = None


class CostQuery(_ListQuery):
    """Which costs."""

    since: Annotated[Day | None, Field(description="Of days from this one on.")] = None
    until: Annotated[Day | None, Field(description="Of days before this one.")] = None


class _Change(BaseModel):
    at: datetime
    who: Annotated[str, Field(description="The name of the token, or the person.")]


class _CostFields(BaseModel):
    first: date
    last: date
    channel: str
    source: str | None
    medium: str | None
    campaign: str | None
    term: str | None
    amount: float


class CostAnswer(_CostFields):
    """What a channel cost on some days, both included."""

    id: int
    site: str
    currency: str


class PartOfCost(BaseModel):
    """Fields of a cost: those that were changed, or all of one that was new or went."""

    first: date | None = None
    last: date | None = None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    term: str | None = None
    amount: float | None = None


class CostChange(_Change):
    """What somebody changed of a cost; `before` null: it was new."""

    before: PartOfCost | None
    after: PartOfCost | None


class CostDetail(CostAnswer):
    """A cost, and who changed what of it."""

    history: Annotated[list[CostChange], Field(description="The newest first; at most 100.")]


class CostPage(BaseModel):
    items: list[CostAnswer]
    next: Annotated[str | None, Field(description="The cursor of the next page; null at the end.")]


class CostsWritten(BaseModel):
    """What was done, and the costs of the request as they are now, in its order."""

    added: int
    changed: int
    unchanged: int
    removed: int
    items: list[CostAnswer]


class _DealFields(_Strict):
    """Whose a deal is, is told by one of `contact`, `call` and `caller`."""

    contact: Annotated[Id | None, Field(description="A contact's id.")] = None
    call: Annotated[Text200 | None, Field(description="The id of a call that the contact made.")] = None
    caller: Annotated[Word | None, Field(description="The number that the contact called from, however written.")] = (
        None
    )
    external_id: Annotated[Text200 | None, Field(description="The deal's id in the CRM.")] = None
    name: Text200 | None = None
    stage: Annotated[Stage | None, Field(description="As the CRM calls it.")] = None
    status: DealStatus = DealStatus.OPEN
    amount: Annotated[Amount, Field(description="In the site's currency; two digits after the point at most.")] = 0
    opened_at: Annotated[Time | None, Field(description="Now unless given.")] = None
    won_at: Annotated[Time | None, Field(description="Of a won deal; now unless given.")] = None
    closed_at: Annotated[Time | None, Field(description="Of a won or lost deal; when it was won, or now.")] = None

    @model_validator(mode="after")
    def _one_tie(self) -> _DealFields:
        if sum(tie is not None for tie in (self.contact, self.call, self.caller)) > 1:
            raise ValueError("give one of contact, call and caller")
        return self


class DealItem(_DealFields):
    """A deal. One whose `external_id` is known changes: what is left out stays."""


class DealsBody(_Strict):
    """Deals of a site."""

    site: SiteKey
    items: Annotated[list[DealItem], Field(max_length=MAX_ITEMS)]


class DealChanges(_DealFields):
    """What is left out stays. Another status forgets `won_at` and `closed_at`."""


class DealQuery(_ListQuery):
    """Which deals. One is counted when it was won or lost; while it is open, when it was opened."""

    since: Annotated[Time | None, Field(description="Counted from this time on.")] = None
    until: Annotated[Time | None, Field(description="Counted before this time.")] = None
    status: Annotated[list[DealStatus], Field(max_length=20), BeforeValidator(as_list)] = []


class DealAnswer(BaseModel):
    """A deal, and the call that it is credited as: the contact's latest before it."""

    id: int
    site: str
    external_id: str | None
    contact: int | None
    caller: str | None
    call: str | None
    channel: Annotated[str | None, Field(description="Of that call.")]
    name: str | None
    stage: str | None
    status: DealStatus
    amount: float
    currency: str
    opened_at: datetime
    won_at: datetime | None
    closed_at: datetime | None
    at: Annotated[datetime, Field(description="When it is counted.")]


class PartOfDeal(BaseModel):
    """Fields of a deal: those that were changed, or all of one that was new or went."""

    external_id: str | None = None
    contact: int | None = None
    call: Annotated[str | None, Field(description="That it was entered on.")] = None
    name: str | None = None
    stage: str | None = None
    status: DealStatus | None = None
    amount: float | None = None
    opened_at: datetime | None = None
    won_at: datetime | None = None
    closed_at: datetime | None = None


class DealChange(_Change):
    """What somebody changed of a deal; `before` null: it was new."""

    before: PartOfDeal | None
    after: PartOfDeal | None


class DealDetail(DealAnswer):
    """A deal, and who changed what of it."""

    history: Annotated[list[DealChange], Field(description="The newest first; at most 100.")]


class DealPage(BaseModel):
    items: list[DealAnswer]
    next: Annotated[str | None, Field(description="The cursor of the next page; null at the end.")]


class DealsWritten(BaseModel):
    """How many deals are new, and those of the request as they are now, in its order."""

    added: int
    items: list[DealAnswer]

"""Reports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pbxtrack.api.schemas.values import Any20, Share, Time, Truth, whole
from pbxtrack.calls.models import Model
from pbxtrack.reports.questions import By


class ReportQuery(BaseModel):
    """Of which calls."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[Time | None, Field(description="Calls from this time on.")] = None
    until: Annotated[Time | None, Field(description="Calls before this time.")] = None
    site: Annotated[Any20, Field(description="The site's key; none: all.")] = []


class ModelQuery(ReportQuery):
    """Of which calls, by which model, and how much of it."""

    model: Annotated[
        Model, Field(description="Which of a person's visits in the 90 days before a call it is credited to.")
    ] = Model.LAST_NON_DIRECT
    limit: Annotated[
        int,
        Field(ge=1, le=10_000, description="Rows of each site at most, those with most calls."),
        BeforeValidator(whole),
    ] = 1_000


class TrendQuery(ReportQuery):
    """Of which calls, and in which steps."""

    by: Annotated[By, Field(description="The steps, by the site's clocks; weeks begin on Monday.")] = By.DAY


class TotalsQuery(ReportQuery):
    """Of which calls, and whether compared."""

    compare: Annotated[
        Truth, Field(description="With as long a time before `since`, which must be given; `until` is now without it.")
    ] = False


class _Figures(BaseModel):
    """What calls add up to: parts of calls where a model divides them."""

    calls: float
    answered: float
    unique: Annotated[float, Field(description="Of callers who were new.")]
    target: Annotated[float, Field(description="That count as leads.")]
    missed: Annotated[float, Field(description="That nobody answered: missed, abandoned, busy, failed.")]
    unsettled: Annotated[
        float, Field(description="Missed ones whose caller is known, and with whom nobody has spoken since.")
    ]
    talk_seconds: Annotated[float, Field(description="Of all calls together.")]
    answer_seconds: Annotated[
        float | None, Field(description="How long answered calls rang on average; null: none was answered.")
    ]
    share: Annotated[Share | None, Field(description="Of all of the site's calls in the period; null: there are none.")]


class _OfSite(_Figures):
    site: str


class _Money(BaseModel):
    """What was spent, and what deals it brought; null: nothing is known of it."""

    currency: Annotated[str, Field(description="The site's, ISO 4217.")]
    cost: Annotated[float | None, Field(description="null: the site has no costs in the period.")]
    cost_per_contact: Annotated[float | None, Field(description="For each of `unique`.")]
    cost_per_call: float | None
    cost_per_target: float | None
    deals: Annotated[float | None, Field(description="Won, lost and open; null: the site has none in the period.")]
    won: float | None
    revenue: Annotated[float | None, Field(description="What the deals that were won are worth.")]
    cost_per_deal: float | None
    cost_per_won: float | None
    conversion: Annotated[float | None, Field(description="Deals that were won, for each of `unique`.")]
    roi: Annotated[float | None, Field(description="(revenue - cost) / cost.")]


class _Campaigned(_OfSite, _Money):
    channel: Annotated[
        str | None,
        Field(
            description="Of a row that holds only costs, of a channel, which do not tell the rest. Its deals are null."
        ),
    ]


class ChannelAnswer(_OfSite, _Money):
    """What a channel brought."""

    channel: Annotated[str | None, Field(description="null: nobody can tell.")]


class ChannelsPage(BaseModel):
    items: list[ChannelAnswer]
    next: None


class CampaignAnswer(_Campaigned):
    """What a campaign brought."""

    source: str | None
    medium: str | None
    campaign: str | None


class CampaignsPage(BaseModel):
    items: list[CampaignAnswer]
    next: None


class KeywordAnswer(_Campaigned):
    """What a keyword brought."""

    source: str | None
    campaign: str | None
    term: str | None


class KeywordsPage(BaseModel):
    items: list[KeywordAnswer]
    next: None


class PageAnswer(_OfSite):
    """What a landing page brought."""

    page: Annotated[str | None, Field(description="Its address without query; null: of calls without a visit.")]


class PagesPage(BaseModel):
    items: list[PageAnswer]
    next: None


class RegionAnswer(_OfSite):
    """Calls of visitors of a region."""

    region: Annotated[str | None, Field(description="null: no visit is known, or not where it came from.")]


class RegionsPage(BaseModel):
    items: list[RegionAnswer]
    next: None


class OperatorAnswer(_OfSite):
    """Calls that somebody answered."""

    operator: Annotated[str | None, Field(description="`answered_by` of the calls; null: nobody answered.")]


class OperatorsPage(BaseModel):
    items: list[OperatorAnswer]
    next: None


class HourAnswer(_OfSite):
    """Calls that began in an hour of the week, by the site's clocks."""

    weekday: Annotated[int, Field(ge=1, le=7, description="1: Monday.")]
    hour: Annotated[int, Field(ge=0, le=23)]


class HoursPage(BaseModel):
    items: list[HourAnswer]
    next: None


class StepOfTrendAnswer(_OfSite):
    """Calls that began in an hour, on a day or in a week."""

    at: Annotated[datetime, Field(description="When it began.")]
    begins: Annotated[str, Field(description="The same by the site's clocks: 2026-01-31, or 2026-01-31T15:00.")]


class TrendPage(BaseModel):
    items: list[StepOfTrendAnswer]
    next: None


class BeforeAnswer(_Figures, _Money):
    """All of a site's calls, as long a time before."""


class TotalsAnswer(_OfSite, _Money):
    """All of a site's calls."""

    before: Annotated[BeforeAnswer | None, Field(description="As long a time before; null unless asked for.")]


class TotalsPage(BaseModel):
    items: list[TotalsAnswer]
    next: None


class KnownAnswer(BaseModel):
    """Calls whose visitor became known, by what told."""

    corrected: int
    tap: int
    caller: int


class RightAnswer(BaseModel):
    """Of calls whose visitor became known, the share that is right, by what told."""

    corrected: Share | None
    tap: Share | None
    caller: Share | None


class BandAnswer(BaseModel):
    """A point of the reliability diagram: calls that were said to be so sure."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[Share, Field(alias="from")]
    to: Share
    calls: int
    said: Annotated[Share | None, Field(description="The mean confidence.")]
    right: Annotated[Share | None, Field(description="The share that was right.")]


class AccuracyAnswer(BaseModel):
    """How good the attributions of a site's calls to leased numbers are. null: there are no such calls."""

    site: str
    month: Annotated[str | None, Field(description="2026-01, in the site's time zone; null: all of them.")]
    calls: int
    attributed: Annotated[int, Field(description="To a visit.")]
    coverage: Annotated[Share | None, Field(description="The share that is attributed.")]
    expected_precision: Annotated[Share | None, Field(description="The mean confidence of those.")]
    known: KnownAnswer
    right: RightAnswer
    precision: Annotated[Share | None, Field(description="Of known calls that are attributed, those that are right.")]
    accuracy: Annotated[Share | None, Field(description="Of all known calls.")]
    brier: Share | None
    calibration_error: Annotated[Share | None, Field(description="The expected calibration error, over ten bands.")]
    bands: list[BandAnswer]


class AccuracyPage(BaseModel):
    items: list[AccuracyAnswer]
    next: None


class NumberAnswer(BaseModel):
    """A pool's number and its calls."""

    site: str
    pool: str
    number: str
    calls: int
    strangers: Annotated[int, Field(description="Calls of nobody whom the website showed the number, most likely.")]
    strange_callers: Annotated[int, Field(description="Of how many different callers.")]
    days: Annotated[int, Field(description="On how many days, in the site's time zone.")]
    leaked: Annotated[bool, Field(description="Far more strangers call it, and steadily, than the pool's others.")]


class NumbersPage(BaseModel):
    items: list[NumberAnswer]
    next: None


class SitesQuery(BaseModel):
    """Of which sites."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[Any20, Field(description="The site's key; none: all.")] = []


class StepAnswer(BaseModel):
    """Of a thousand people, how many call in this time after what they did last."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[float, Field(alias="from", description="Seconds.")]
    to: Annotated[float, Field(description="Seconds.")]
    seen: Annotated[float, Field(description="Visitors, after their last sign of life.")]
    left: Annotated[float, Field(description="Visitors, after they closed the page.")]
    keen: Annotated[float, Field(description="Visitors, after they tapped or copied the number.")]
    again: Annotated[float, Field(description="Callers, after their last call.")]


class LengthAnswer(BaseModel):
    """How many times as often visitors call whose visit, now over, was at least that long."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[float, Field(alias="from", description="Seconds.")]
    factor: float


class CurvesAnswer(BaseModel):
    """What attribution weighs by: learned from the site's own calls, or, of version 0, what is usual."""

    site: str
    version: int
    learned_at: datetime | None
    calls: Annotated[int, Field(description="How many it was learned from.")]
    steps: list[StepAnswer]
    strangers_per_number_and_month: float
    strangers_to_overflow_per_day: float
    channels: Annotated[dict[str, float], Field(description="How many times as often a channel's visitors call.")]
    lengths: Annotated[list[LengthAnswer], Field(description="The same of visits by their length.")]
    same_region: Annotated[float, Field(description="How many times as likely one of the caller's region is.")]
    other_region: float


class CurvesPage(BaseModel):
    items: list[CurvesAnswer]
    next: None

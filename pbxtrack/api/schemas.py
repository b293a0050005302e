"""What goes in and comes out of the API, as pydantic models: the requests are read with them, the answers described."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, WithJsonSchema

from pbxtrack.calls.attribution import Method
from pbxtrack.calls.lifecycle import Status
from pbxtrack.calls.models import Model
from pbxtrack.reports.questions import By

_NO_NUL = r"^[^\x00]*$"  # PostgreSQL keeps no NUL in a text
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)

Url = Annotated[str, Field(max_length=8_192, pattern=_NO_NUL)]
Short = Annotated[str, Field(max_length=64, pattern=_NO_NUL)]
Word = Annotated[str, Field(min_length=1, max_length=300, pattern=_NO_NUL)]
ClientIdName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
ClientId = Annotated[str, Field(max_length=256, pattern=_NO_NUL)]
Tag = Annotated[str, Field(min_length=1, max_length=64, pattern=_NO_NUL)]


def _read_time(text: object) -> datetime:
    if not isinstance(text, str) or not _RFC_3339.fullmatch(text):
        raise ValueError("must be a time such as 2026-01-31T09:00:00Z")
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is a time that does not exist") from None


def _read_bool(text: object) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


Time = Annotated[datetime, BeforeValidator(_read_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Truth = Annotated[bool, BeforeValidator(_read_bool), WithJsonSchema({"type": "boolean"})]


def _decimal(text: object) -> object:
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,20})?", text):
        raise ValueError("must be a number such as 0.8")
    return float(text)


def _whole(text: object) -> object:
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError("must be a whole number")
    return int(text)


class LeaseBody(BaseModel):
    """A website asks for a number."""

    # Unknown members are passed over: a page may have been loaded with a newer snippet than this service.
    site: Annotated[str, Field(min_length=1, max_length=64, pattern=_NO_NUL, description="The site's key.")]
    page: Annotated[Url, Field(min_length=1, description="The address of the page, with its query.")]
    visitor: Annotated[Short | None, Field(description="What an earlier answer gave as `visitor`.")] = None
    referrer: Url | None = None
    region: Annotated[str, Field(max_length=16, pattern=_NO_NUL)] | None = None
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
    email: str | None
    expires_at: datetime | None
    guaranteed_until: datetime | None
    renew_after: Annotated[int | None, Field(description="Seconds.")]
    overflow: Annotated[bool, Field(description="The pool is used up: the number, if any, is shown to many.")]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Any20 = Annotated[list[Word], Field(max_length=20), BeforeValidator(_as_list)]


class CallQuery(BaseModel):
    """Which calls. A parameter that takes several values is written several times, and any of them may fit."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[Time | None, Field(description="Calls from this time on.")] = None
    until: Annotated[Time | None, Field(description="Calls before this time.")] = None
    site: Annotated[Any20, Field(description="The site's key.")] = []
    channel: Any20 = []
    campaign: Any20 = []
    status: Annotated[list[Status], Field(max_length=20), BeforeValidator(_as_list)] = []
    tag: Any20 = []
    hour: Annotated[
        int | None,
        Field(ge=0, le=23, description="The hour of the day in which the call began, by its site's clocks."),
        BeforeValidator(_whole),
    ] = None
    caller: Annotated[
        Word | None,
        Field(description="A number, however written; `withheld` for callers who hid theirs."),
    ] = None
    caller_ends: Annotated[
        str | None, Field(pattern=r"^[0-9]{2,15}$", description="The last digits of the caller's number.")
    ] = None
    dialled: Annotated[Word | None, Field(description="A number, however written.")] = None
    repeat: Annotated[Truth | None, Field(description="Callers who had called the site before.")] = None
    unique: Annotated[
        Truth | None, Field(description="Callers who had not called the site before, or not for `unique_days`.")
    ] = None
    target: Annotated[Truth | None, Field(description="Calls that count as leads.")] = None
    unsettled: Annotated[
        Truth | None,
        Field(description="Calls of known callers that nobody answered, and that nobody has spoken with since."),
    ] = None
    min_confidence: Annotated[float, Field(ge=0, le=1), BeforeValidator(_decimal)] | None = None
    recording: Annotated[Truth | None, Field(description="Calls that were recorded.")] = None
    limit: Annotated[int, Field(ge=1, le=250), BeforeValidator(_whole)] = 50
    cursor: Annotated[str | None, Field(min_length=1, max_length=400, description="`next` of the page before.")] = None


class ChannelCorrection(BaseModel):
    """An advertising channel by its name; it need not be in the site file."""

    model_config = ConfigDict(extra="forbid")

    channel: Word


class VisitCorrection(BaseModel):
    """A visit to the call's site by its id."""

    model_config = ConfigDict(extra="forbid")

    visit: Annotated[str, Field(min_length=1, max_length=64, pattern=_NO_NUL)]


class CallChanges(BaseModel):
    """What people say of a call. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=10_000, pattern=_NO_NUL)] | None = None
    tags: Annotated[list[Tag], Field(max_length=50), AfterValidator(lambda tags: list(dict.fromkeys(tags)))] = []
    qualified: Annotated[
        StrictBool | None, Field(description="Whether it was a lead; null: as `target` is computed.")
    ] = None
    attribution: Annotated[
        ChannelCorrection | VisitCorrection | None,
        Field(description="What brought the call; null: what was computed."),
    ] = None


class CandidateAnswer(BaseModel):
    visit: str
    channel: str
    confidence: Annotated[float, Field(ge=0, le=1)]


class _TieAnswer(BaseModel):
    channel: str | None
    source: str | None
    medium: str | None
    campaign: str | None
    term: str | None
    content: str | None
    visit: str | None
    confidence: Annotated[float, Field(ge=0, le=1)]
    why: Annotated[str | None, Field(description="One sentence for people.")]
    candidates: list[CandidateAnswer]


class ComputedAnswer(_TieAnswer):
    """What was computed, where people corrected it."""

    method: Method


class AttributionAnswer(_TieAnswer):
    """Which advertising brought the call, how that is known, and how surely."""

    method: Method | Literal["corrected"]
    corrected: Annotated[bool, Field(description="Whether people corrected it; it is sure then.")]
    computed: ComputedAnswer | None


class PbxAnswer(BaseModel):
    node: str
    linkedid: str
    end_seen: bool | None = Field(
        description="False: we did not hear the end, and status and times are what was known before; null: not over."
    )
    fallback: str | None = Field(
        description="Why the dialplan went on without our answer: unanswered, timeout, unknown-number, not-a-number;"
        " null: it took it."
    )


class Call(BaseModel):
    """A call. Times are UTC; durations in seconds."""

    id: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    site: str | None
    dialled: str | None
    caller: Annotated[str | None, Field(description="null where the caller withheld it.")]
    contact: Annotated[str | None, Field(description="Who called, for `/api/v1/contacts`; null: nobody can tell.")]
    status: Status
    ringing_seconds: Annotated[float, Field(ge=0)]
    talk_seconds: Annotated[float, Field(ge=0)]
    answered_by: str | None
    hung_up_by: Annotated[str | None, Field(description="caller, line or pbx")]
    hangup_cause: Annotated[int | None, Field(description="Q.850")]
    first: bool
    repeat: bool
    unique: Annotated[bool, Field(description="The caller's first on the site, or the first for `unique_days`.")]
    target: Annotated[bool, Field(description="Whether it counts as a lead: `qualified` where that is not null.")]
    qualified: Annotated[bool | None, Field(description="Whether people say that it was a lead.")]
    settled_by: Annotated[
        str | None, Field(description="The later call, from or to the caller, that was answered; of a missed call.")
    ]
    settled_at: Annotated[datetime | None, Field(description="When that one was answered.")]
    outbound: Annotated[
        str | None, Field(description="The number that the company called; null: somebody called the company.")
    ]
    recording: str | None
    note: str | None
    tags: list[str]
    attribution: AttributionAnswer
    pbx: PbxAnswer


class ContactAnswer(BaseModel):
    """Somebody who called a site."""

    id: str
    site: str
    caller: Annotated[str, Field(description="The number that they call from.")]
    first_at: Annotated[datetime, Field(description="When they called first.")]
    calls: Annotated[list[Call], Field(description="The newest first; at most 100.")]


class RecordingQuery(BaseModel):
    """How the recording is wanted."""

    model_config = ConfigDict(extra="forbid")

    download: Annotated[Literal["1"] | None, Field(description="As a file to keep, as Asterisk wrote it.")] = None


class WaveformAnswer(BaseModel):
    """A recording's loudness over its length."""

    seconds: Annotated[float, Field(ge=0)]
    peaks: Annotated[
        list[Annotated[float, Field(ge=0, le=1)]],
        Field(max_length=600, description="The loudest sample of each part; all parts are of the same length."),
    ]


class VisitEventAnswer(BaseModel):
    at: datetime
    event: Annotated[str, Field(description="view, tap, copy or leave")]
    page: str


class VisitAnswer(BaseModel):
    """A visit to the website: where it came from, and what the visitor did."""

    id: str
    visitor: str
    started_at: datetime
    seen_at: Annotated[datetime, Field(description="The last sign of life.")]
    region: str
    referrer: str | None
    click_ids: dict[str, str]
    client_ids: dict[str, str]
    events: Annotated[list[VisitEventAnswer], Field(description="By time, beginning with the page it landed on.")]


class CorrectionAnswer(BaseModel):
    channel: str
    visit: str | None


class ChangeAnswer(BaseModel):
    """Something that somebody changed on a call."""

    at: datetime
    who: Annotated[str, Field(description="The name of the token.")]
    field: Literal["note", "tags", "qualified", "attribution"]
    before: str | list[str] | bool | CorrectionAnswer | None
    after: str | list[str] | bool | CorrectionAnswer | None


class CallDetail(Call):
    """A call, the visit that it is attributed to, and what people changed on it."""

    visit: VisitAnswer | None
    history: Annotated[list[ChangeAnswer], Field(description="The newest first; at most 100.")]


class CallPage(BaseModel):
    items: list[Call]
    next: Annotated[str | None, Field(description="The cursor of the next page; null at the end.")]


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
        BeforeValidator(_whole),
    ] = 1_000


class TrendQuery(ReportQuery):
    """Of which calls, and in which steps."""

    by: Annotated[By, Field(description="The steps, by the site's clocks; weeks begin on Monday.")] = By.DAY


class TotalsQuery(ReportQuery):
    """Of which calls, and whether compared."""

    compare: Annotated[
        Truth, Field(description="With as long a time before `since`, which must be given; `until` is now without it.")
    ] = False


Share = Annotated[float, Field(ge=0, le=1)]


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


class ChannelAnswer(_OfSite):
    """What a channel brought."""

    channel: Annotated[str | None, Field(description="null: nobody can tell.")]


class ChannelsPage(BaseModel):
    items: list[ChannelAnswer]
    next: None


class CampaignAnswer(_OfSite):
    """What a campaign brought."""

    source: str | None
    medium: str | None
    campaign: str | None


class CampaignsPage(BaseModel):
    items: list[CampaignAnswer]
    next: None


class KeywordAnswer(_OfSite):
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


class TotalsAnswer(_OfSite):
    """All of a site's calls."""

    before: Annotated[_Figures | None, Field(description="As long a time before; null unless asked for.")]


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

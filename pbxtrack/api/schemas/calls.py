"""The call log, a call, and what people say of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from pbxtrack.api.schemas.values import NO_NUL, Any20, Tag, Time, Truth, Word, as_list, decimal, whole
from pbxtrack.calls.attribution import Method
from pbxtrack.calls.lifecycle import Status
from pbxtrack.storage.annotations import MAX_NOTE, MAX_TAGS


class CallQuery(BaseModel):
    """Which calls. A parameter that takes several values is written several times, and any of them may fit."""

    model_config = ConfigDict(extra="forbid")

    since: Annotated[Time | None, Field(description="Calls from this time on.")] = None
    until: Annotated[Time | None, Field(description="Calls before this time.")] = None
    site: Annotated[Any20, Field(description="The site's key.")] = []
    channel: Annotated[
        list[Annotated[str, Field(max_length=300, pattern=NO_NUL)]],
        Field(max_length=20, description="Empty: calls of which nobody knows what brought them."),
        BeforeValidator(as_list),
    ] = []
    campaign: Any20 = []
    status: Annotated[list[Status], Field(max_length=20), BeforeValidator(as_list)] = []
    tag: Any20 = []
    hour: Annotated[
        int | None,
        Field(ge=0, le=23, description="The hour of the day in which the call began, by its site's clocks."),
        BeforeValidator(whole),
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
    min_confidence: Annotated[float, Field(ge=0, le=1), BeforeValidator(decimal)] | None = None
    recording: Annotated[Truth | None, Field(description="Calls that were recorded.")] = None
    limit: Annotated[int, Field(ge=1, le=250), BeforeValidator(whole)] = 50
    cursor: Annotated[str | None, Field(min_length=1, max_length=400, description="`next` of the page before.")] = None


class ChannelCorrection(BaseModel):
    """An advertising channel by its name; it need not be in the site file."""

    model_config = ConfigDict(extra="forbid")

    channel: Word


class VisitCorrection(BaseModel):
    """A visit to the call's site by its id."""

    model_config = ConfigDict(extra="forbid")

    visit: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]


class CallChanges(BaseModel):
    """What people say of a call. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=MAX_NOTE, pattern=NO_NUL)] | None = None
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS), AfterValidator(lambda tags: list(dict.fromkeys(tags)))] = []
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

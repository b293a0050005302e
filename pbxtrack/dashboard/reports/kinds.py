"""The reports that there are, as pages: what they are called, and what they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pbxtrack.calls.models import Model
from pbxtrack.dashboard.languages import marked
from pbxtrack.dashboard.reports.columns import OF_CALLS, OF_OPERATORS, OF_TOUCHES, Column
from pbxtrack.reports.questions import CAMPAIGNS, CHANNELS, KEYWORDS, OPERATORS, PAGES, REGIONS, Question


@dataclass(frozen=True, slots=True)
class Grouped:
    """A report that groups calls. ``heads``: what its dimensions are called; ``about``: what is to be known of it.

    ``unknown``: what stands for a row whose dimensions nobody knows. ``opens``: the dimension by which the call log
    finds the calls of a row.
    """

    question: Question
    title: str
    heads: Sequence[str]
    unknown: str = marked("Unknown")
    about: str = ""
    opens: str | None = None
    columns: Sequence[Column] = OF_CALLS


_UNTRACKED = marked("Without a visit")
_ABOUT_VISITS = marked(
    "Calls without a visit came to a channel's own number, or from somebody who was shown no number."
)

GROUPED = (
    Grouped(CHANNELS, marked("Channels"), [marked("Channel")], opens="channel"),
    Grouped(
        CAMPAIGNS,
        marked("Campaigns"),
        [marked("Source"), marked("Medium"), marked("Campaign")],
        _UNTRACKED,
        _ABOUT_VISITS,
        opens="campaign",
        columns=OF_TOUCHES,
    ),
    Grouped(
        KEYWORDS,
        marked("Keywords"),
        [marked("Source"), marked("Campaign"), marked("Keyword")],
        _UNTRACKED,
        _ABOUT_VISITS,
        columns=OF_TOUCHES,
    ),
    Grouped(PAGES, marked("Landing pages"), [marked("Landing page")], _UNTRACKED, _ABOUT_VISITS),
    Grouped(
        REGIONS,
        marked("Regions"),
        [marked("Region")],
        about=marked(
            "The region is that of the visit that a call is tied to. A caller's number tells where it was bought, not "
            "where they are: a call without a visit has no region."
        ),
    ),
    Grouped(
        OPERATORS,
        marked("Operators"),
        [marked("Operator")],
        marked("Nobody answered"),
        columns=OF_OPERATORS,
    ),
)

TITLES: Mapping[str, str] = {
    **{report.question.name: report.title for report in GROUPED},
    "hours": marked("Hours"),
    "numbers": marked("Numbers"),
    "accuracy": marked("Accuracy"),
    "curves": marked("Time to call"),
}
"""All of them by their names in addresses, in the order in which they are offered."""

OF_MONEY: Mapping[str, str] = {"costs": marked("Costs"), "deals": marked("Deals")}
"""The pages of what the reports' money is made of, by their names in addresses."""

MODELS: Mapping[Model, tuple[str, str]] = {
    Model.LAST_NON_DIRECT: (
        marked("Last non-direct visit"),
        marked(
            "A call counts for the caller's last visit that an ad, a search or a link brought; for one that nothing "
            "brought only where there was no other in the 90 days before."
        ),
    ),
    Model.LAST: (marked("Last visit"), marked("A call counts for the visit that it was made from.")),
    Model.FIRST: (
        marked("First visit"),
        marked("A call counts for the caller's first visit in the 90 days before it."),
    ),
    Model.LINEAR: (
        marked("Linear"),
        marked("A call is divided evenly among the caller's visits in the 90 days before it."),
    ),
    Model.POSITION: (
        marked("Position-based"),
        marked(
            "Of a call, two fifths each count for the first and the last visit in the 90 days before it, the rest for "
            "those between."
        ),
    ),
}
"""What each model is called, and what it does."""

ALWAYS = marked("A channel's own number and what people corrected count for that channel, whatever the model.")
OWN_VISITS = marked("The calls that a figure opens are listed by the visit they were made from, and may be others.")
ONLY_COSTS = marked(
    "Costs that do not tell the rest stand by themselves: what they brought is in other rows, and in the report of "
    "channels."
)

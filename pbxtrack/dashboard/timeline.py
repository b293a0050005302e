"""What happened, from a visit's first page to the end of the call, in one line of time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from gettext import NullTranslations
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from pbxtrack.dashboard.languages import Format, marked
from pbxtrack.dashboard.why import filled

MOST, ENDS = 16, 6
"""Of more steps before the call, or in it, than MOST the first and the last ENDS are shown at once."""

_TOGETHER = timedelta(seconds=2)  # lines that ring within it are told in one step
_MOST_ADDRESS = 90  # characters
_MOST_TEXT = 120
_FAILURES: Mapping[str, str] = {
    "BUSY": marked("%(who)s: busy"),
    "NOANSWER": marked("%(who)s: no answer"),
    "CANCEL": marked("%(who)s: called off while ringing"),
    "CHANUNAVAIL": marked("%(who)s: could not be reached"),
    "CONGESTION": marked("%(who)s: could not be reached"),
}
_FALLBACKS: Mapping[str, str] = {
    "unanswered": marked("Asterisk used the last known line: pbxtrack did not answer"),
    "timeout": marked("Asterisk used the last known line: pbxtrack did not answer in time"),
    "not-a-number": marked("Asterisk used the last known line: what was dialled is no number"),
    "unknown-number": marked("Asterisk used the last known line: the number is not one of ours"),
}
_DID: Mapping[str, tuple[str, str]] = {  # with the page's address, and without
    "view": (marked("Page %(page)s"), marked("Another page")),
    "tap": (marked("Tapped the number on %(page)s"), marked("Tapped the number")),
    "copy": (marked("Copied the number on %(page)s"), marked("Copied the number")),
    "leave": (marked("Closed the page %(page)s"), marked("Closed the page")),
}
_BEGAN = marked("The visit began on %(page)s"), marked("The visit began")
_ENDS: Mapping[str | None, str] = {
    "caller": marked("The caller hung up"),
    "line": marked("The company hung up"),
    None: marked("The call ended"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened. ``gap``: seconds since the step before; ``day``: it is the first of its day.

    ``kind`` names how it looks: visit, deed (tap, copy), lease, ring, answer, lost, end; empty for the rest.
    """

    at: datetime
    text: Markup
    kind: str = ""
    gap: float | None = None
    day: bool = False
    names: Sequence[str] = field(default=())  # of the lines that it tells of


def timeline(
    call: Mapping[str, Any],
    leases: Iterable[Mapping[str, Any]],
    facts: Sequence[Mapping[str, Any]],
    texts: NullTranslations,
    f: Format,
) -> list[Step]:
    """The steps of a call (as ``call_detail`` has it), of its visit with ``leases``, and of its ``facts``, by time."""
    steps = [*_visited(call, texts), *_leased(leases, texts, f), *_called(call, facts, texts, f)]
    end = datetime.fromisoformat(call["ended_at"]) if call["ended_at"] else None
    made: list[Step] = []
    for step in sorted(steps, key=lambda one: one.at):
        if end is not None and step.at > end:
            break
        before = made[-1] if made else None
        made.append(
            replace(
                step,
                gap=(step.at - before.at).total_seconds() if before else None,
                day=before is None or f.day(before.at) != f.day(step.at),
            )
        )
    return made


def folded(steps: Sequence[Step]) -> list[tuple[bool, Sequence[Step]]]:
    """The steps in parts; of each whether it is to be unfolded first."""
    call = next((index for index, step in enumerate(steps) if step.kind == "call"), 0)
    parts: list[tuple[bool, Sequence[Step]]] = []
    for part in (steps[:call], steps[call:]):
        if len(part) > MOST:
            parts += [(False, part[:ENDS]), (True, part[ENDS:-ENDS]), (False, part[-ENDS:])]
        elif part:
            parts.append((False, part))
    return parts


def page_name(address: str) -> str:
    """A page's address as people say it: without ``https://`` and what follows ``?``; short."""
    try:
        parts = urlsplit(address)
        name = (parts.netloc + parts.path) if parts.netloc else address
    except ValueError:
        name = address
    return short(name, _MOST_ADDRESS)


def short(text: str, most: int = _MOST_TEXT) -> str:
    """As much of a text as has room."""
    return text if len(text) <= most else text[: most - 1] + "…"


def line_name(leg: str) -> str:
    """``PJSIP/sales-0000001f`` is the line PJSIP/sales."""
    name, dash, instance = leg.rpartition("-")
    return short(name if dash and instance.isalnum() else leg)


def _visited(call: Mapping[str, Any], texts: NullTranslations) -> Iterable[Step]:
    visit = call["visit"]
    if visit is None:
        return
    for index, event in enumerate(visit["events"]):
        kind = "visit" if index == 0 else "deed" if event["event"] in ("tap", "copy") else ""
        text, alone = _BEGAN if index == 0 else _DID.get(event["event"], _DID["view"])
        page = page_name(event["page"])
        said = filled(texts.gettext(text if page else alone), page=_apart(page))
        yield Step(datetime.fromisoformat(event["at"]), said, kind)


def _leased(leases: Iterable[Mapping[str, Any]], texts: NullTranslations, f: Format) -> Iterable[Step]:
    for lease in leases:
        if lease["number"] is None:
            text = filled(texts.gettext(marked("The website showed the overflow number")))
        else:
            shown = _apart(f.phone(lease["number"]))
            text = filled(texts.gettext(marked("The website showed %(number)s")), number=shown)
        yield Step(datetime.fromisoformat(lease["at"]), text, "lease")


def _called(
    call: Mapping[str, Any], facts: Sequence[Mapping[str, Any]], texts: NullTranslations, f: Format
) -> Iterable[Step]:
    say = _teller(texts)
    names = {fact["leg"]: fact["data"]["name"] for fact in facts if fact["data"].get("name")}
    steps: list[Step] = []
    seen: set[str] = set()  # kinds that are told once, however often they were heard
    for fact in facts:
        at, kind, data = datetime.fromisoformat(fact["at"]), fact["kind"], fact["data"]
        leg = names.get(fact["leg"], "")
        who = line_name(leg) or texts.gettext(marked("A line"))
        if kind in seen or leg.startswith("Local/"):  # nobody sits at a Local channel's end
            continue
        match kind:
            case "arrived":
                seen.add(kind)
                number = f.phone(call["dialled"] or data.get("dialled") or "")
                steps.append(Step(at, say(marked("Call to %(number)s"), number=_apart(number)), "call"))
            case "queued":
                seen.add(kind)
                steps.append(Step(at, say(marked("Waits in a queue"))))
            case "rang":
                _add(steps, at, marked("Rings: %(who)s"), who, say, "ring")
            case "failed":
                text = _FAILURES.get(str(data.get("status")), marked("%(who)s: did not answer"))
                _add(steps, at, text, who, say, "lost" if data.get("status") != "CANCEL" else "")
            case "answered":
                steps.append(Step(at, say(marked("Answered: %(who)s"), who=_apart(who)), "answer"))
            case "transferred":
                target = _apart(short(str(data.get("target"))))
                text = marked("Transferred to %(target)s")
                if data.get("how") == "attended":
                    text = marked("Transferred to %(target)s, after speaking with them")
                steps.append(Step(at, say(text, target=target), "answer"))
            case "recording":
                seen.add(kind)
                steps.append(Step(at, say(marked("Recording began"))))
            case "fallback":
                text = _FALLBACKS.get(str(data.get("reason")), marked("Asterisk used the last known line"))
                steps.append(Step(at, say(text), "lost"))
    yield from steps
    if call["ended_at"] is not None:
        unseen = call["pbx"]["end_seen"] is False
        text = marked("The end was not heard: found gone") if unseen else _ENDS.get(call["hung_up_by"], _ENDS[None])
        yield Step(datetime.fromisoformat(call["ended_at"]), say(text), "end")


def _add(steps: list[Step], at: datetime, text: str, who: str, say: Callable[..., Markup], kind: str) -> None:
    """A step of a line; one with those before it that did the same just then."""
    names: Sequence[str] = (who,)
    if steps and steps[-1].kind == kind and steps[-1].names and at - steps[-1].at <= _TOGETHER:
        before = steps[-1]
        if say(text, who=_listed(before.names)) == before.text:
            names = before.names if who in before.names else (*before.names, who)
            at = steps.pop().at
    steps.append(Step(at, say(text, who=_listed(names)), kind, names=names))


def _listed(names: Sequence[str]) -> Markup:
    return Markup(", ").join(_apart(name) for name in names)


def _teller(texts: NullTranslations) -> Callable[..., Markup]:
    def say(text: str, **values: object) -> Markup:
        return filled(texts.gettext(text), **values)

    return say


def _apart(text: str) -> Markup:
    """A name from outside: its direction of writing stays its own."""
    return Markup("<bdi>%s</bdi>") % text

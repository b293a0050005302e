"""``pbxtrack calls``: the call log, and one call explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click
from sqlalchemy import Connection

from pbxtrack.calls.lifecycle import Status
from pbxtrack.cli.common import no_site, open_database
from pbxtrack.cli.options import Moment, json_option, print_json
from pbxtrack.cli.table import Column, print_table
from pbxtrack.cli.text import visible
from pbxtrack.config import load
from pbxtrack.errors import PbxtrackError
from pbxtrack.numbers import read_caller
from pbxtrack.storage.call_search import CallFilter
from pbxtrack.storage.sites import time_zones
from pbxtrack.storage.views import MAX_PAGE, call_detail, call_timeline, calls_page

_SHOWN = 60  # characters of what was changed


@click.group(invoke_without_command=True)
@click.option("--since", type=Moment(), help="From this time on: 2026-11-22, 2026-11-22T15:04Z, 2h (ago).")
@click.option("--until", type=Moment(), help="Before this time.")
@click.option("--site", "sites", multiple=True, help="Of this site (its key).")
@click.option("--channel", "channels", multiple=True, help="Of this advertising channel; '' for of none.")
@click.option("--campaign", "campaigns", multiple=True, help="Of this campaign.")
@click.option("--status", "statuses", multiple=True, type=click.Choice([status.value for status in Status]))
@click.option("--caller", help="From this number; `withheld` for callers who hid theirs.")
@click.option("--dialled", help="To this number.")
@click.option("--unsettled", is_flag=True, default=None, help="Missed, and nobody has spoken with the caller since.")
@click.option("--unique", is_flag=True, default=None, help="Of callers who were new then.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="The latest so many.")
@json_option
@click.pass_context
def calls(
    ctx: click.Context, /, caller: str | None, dialled: str | None, limit: int, as_json: bool, **which: Any
) -> None:
    """The call log, the latest first. Options that may be given more than once let any of their values fit."""
    if ctx.invoked_subcommand is not None:
        return
    settings = load()
    region = settings.numbers.default_region
    withheld = caller is not None and read_caller(caller, region) is None
    found = CallFilter(
        caller=read_caller(caller, region), withheld=withheld, dialled=read_caller(dialled, region), **which
    )
    with open_database(settings) as database, database.reading() as connection:
        items, following = _pages(connection, found, limit)
        zones = time_zones(connection)
    unknown = next((site for site in found.sites if site not in zones), None)
    if unknown is not None:
        raise no_site(unknown, zones)
    if as_json:
        print_json({"items": items, "next": following})
    elif not items:
        click.echo("no calls")
    else:
        zone = _common_zone(items, zones)
        print_table(_columns(items, zone), [_row(call, zone) for call in items])


@calls.command()
@click.argument("call_id", metavar="ID")
@json_option
def show(call_id: str, as_json: bool) -> None:
    """One call: what happened, when, and why it is attributed as it is."""
    with open_database() as database, database.reading() as connection:
        call = call_detail(connection, call_id)
        timeline = call_timeline(connection, call_id)
        zones = time_zones(connection)
    if call is None:
        raise PbxtrackError(f"there is no call {call_id!r}; see `pbxtrack calls`")
    if as_json:
        print_json({**call, "timeline": timeline})
        return
    parts = [
        _summary(call, zones),
        _happened(call, timeline, zones),
        _explained(call["attribution"]),
        _visited(call, zones),
        _changed(call, zones),
    ]
    click.echo("\n\n".join("\n".join(map(visible, lines)) for lines in parts if lines))


def _pages(connection: Connection, which: CallFilter, limit: int) -> tuple[list[dict[str, Any]], str | None]:
    items, following = calls_page(connection, which, None, min(limit, MAX_PAGE))
    while following and len(items) < limit:
        more, following = calls_page(connection, which, following, min(limit - len(items), MAX_PAGE))
        items += more
    return items, following


def _common_zone(items: Sequence[Mapping[str, Any]], zones: Mapping[str, str]) -> str:
    """One time zone for a whole table: that of its sites if they share one. Calls without a site follow them."""
    used = {zones.get(call["site"], "UTC") for call in items if call["site"]}
    return used.pop() if len(used) == 1 else "UTC"


def _columns(items: Sequence[Mapping[str, Any]], zone: str) -> list[Column]:
    times = [_in_zone(call["started_at"], zone) for call in items]
    names = "/".join(dict.fromkeys(f"{at:%Z}" for at in times))  # two where the clocks were changed
    return [
        Column(f"Time ({zone})", short=[f"Time ({names})", *(f"{at:%m-%d %H:%M:%S}" for at in times)]),
        Column("Site", drop=2),
        Column("Caller"),
        Column("Dialled", drop=7),
        Column("Channel", least=12),
        Column("Campaign", least=8, drop=1),
        Column("Status"),
        Column("Ring", right=True, drop=5),
        Column("Talk", right=True, drop=6),
        Column("Hung up by", drop=3),
        Column("Sure", right=True, drop=4),
        Column("Call"),
    ]


def _row(call: Mapping[str, Any], zone: str) -> list[str]:
    attribution = call["attribution"]
    return [
        f"{_in_zone(call['started_at'], zone):%Y-%m-%d %H:%M:%S}",
        call["site"] or "—",
        call["caller"] or "withheld",
        call["dialled"] or "—",
        attribution["channel"] or "—",
        attribution["campaign"] or "",
        call["status"],
        _span(call["ringing_seconds"]),
        _span(call["talk_seconds"]) if call["answered_at"] else "",
        call["hung_up_by"] or "",
        _sure(attribution["confidence"]) if attribution["channel"] else "",
        call["id"],
    ]


def _summary(call: Mapping[str, Any], zones: Mapping[str, str]) -> list[str]:
    started = _local(call["started_at"], call, zones)
    novelty = "first call" if call["first"] else "repeat call" if call["repeat"] else ""
    unique = "unique" if call["unique"] and not call["first"] else ""
    target = "target" if call["target"] else ""
    ended = f"hung up by {call['hung_up_by']}" if call["hung_up_by"] else ""
    cause = f"cause {call['hangup_cause']}" if call["hangup_cause"] is not None else ""
    spans = f"rang {_span(call['ringing_seconds'])}, talked {_span(call['talk_seconds'])}"
    rows = {
        "Call": call["id"],
        "Time": started.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "Site": call["site"],
        "Called": call["outbound"],
        "Caller": "" if call["outbound"] else ", ".join(filter(None, [call["caller"] or "withheld", novelty, unique])),
        "Dialled": call["dialled"],
        "Status": ", ".join(filter(None, [call["status"], spans, ended, cause, target])),
        "Beware": ""
        if call["pbx"]["end_seen"] is not False
        else "the end was not heard; this is what was known before",
        "Settled": call["settled_by"]
        and f"{_local(call['settled_at'], call, zones):%Y-%m-%d %H:%M:%S}, by {call['settled_by']}",
        "Answered by": call["answered_by"],
        "Recording": call["recording"],
        "Lead": {True: "yes, people say", False: "no, people say", None: ""}[call["qualified"]],
        "Note": call["note"],
        "Tags": ", ".join(call["tags"]),
    }
    return [f"{title + ':':<13}{text}" for title, text in rows.items() if text]


def _happened(call: Mapping[str, Any], timeline: Sequence[Mapping[str, Any]], zones: Mapping[str, str]) -> list[str]:
    lines = ["What happened:"]
    for fact in timeline:
        at = _local(fact["at"], call, zones)
        lines.append(f"  {at:%H:%M:%S}.{at.microsecond // 1000:03}  {fact['sentence']}")
    return lines if timeline else [*lines, "  Nothing was recorded."]


def _explained(attribution: Mapping[str, Any]) -> list[str]:
    lines = [f"Brought by: {_brought(attribution)}", f"  {attribution['why']}"]
    if (computed := attribution["computed"]) is not None:
        lines.append(f"  Computed: {_brought(computed)}. {computed['why']}")
    names = ("source", "medium", "campaign", "term", "content", "visit")
    lines += [f"  {name + ':':<10} {attribution[name]}" for name in names if attribution[name]]
    if attribution["candidates"]:
        lines.append("  It may have been:")
        for candidate in attribution["candidates"]:
            lines.append(f"    {_sure(candidate['confidence']):>5}  {candidate['channel']}, visit {candidate['visit']}")
    return lines


def _brought(attribution: Mapping[str, Any]) -> str:
    sure = f" ({_sure(attribution['confidence'])} sure, by {attribution['method']})"
    return f"{attribution['channel']}{sure}" if attribution["channel"] else "unknown"


def _changed(call: Mapping[str, Any], zones: Mapping[str, str]) -> list[str]:
    lines = [
        f"  {_local(change['at'], call, zones):%Y-%m-%d %H:%M:%S}  {change['who']}: {change['field']}, "
        f"{_said(change['before'])} → {_said(change['after'])}"
        for change in call["history"]
    ]
    return ["What people changed:", *lines] if lines else []


def _said(value: Any) -> str:
    match value:
        case None | [] | "":
            text = "–"
        case bool():
            text = "yes" if value else "no"
        case list():
            text = ", ".join(value)
        case {"channel": channel, "visit": visit}:
            text = f"{channel}, visit {visit}" if visit else str(channel)
        case _:
            text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


_DID = {"view": "saw", "tap": "tapped the number on", "copy": "copied the number on", "leave": "left"}


def _visited(call: Mapping[str, Any], zones: Mapping[str, str]) -> list[str]:
    visit = call["visit"]
    if visit is None:
        return []
    came = f", from {visit['referrer']}" if visit["referrer"] else ""
    return [
        f"The visit on {_local(visit['started_at'], call, zones):%Y-%m-%d}{came}:",
        *(
            f"  {_local(event['at'], call, zones):%H:%M:%S}  {_DID[event['event']]} {event['page']}"
            for event in visit["events"]
        ),
    ]


def _local(at: str, call: Mapping[str, Any], zones: Mapping[str, str]) -> datetime:
    return _in_zone(at, zones.get(call["site"] or "", "UTC"))


def _in_zone(at: str, zone: str) -> datetime:
    return datetime.fromisoformat(at).astimezone(ZoneInfo(zone))


def _span(seconds: float) -> str:
    """Short spans to the tenth of a second, as ringing is; longer ones as a clock."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds else "–"
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02}"


def _sure(confidence: float) -> str:
    return f"{confidence:.0%}"
